SELECT e.seq, e.debit_class, e.debit_owner, e.credit_class, e.credit_owner, e.amount_micros,
  e.cause, e.payout, e.at, n.source, n.event_id, n.occurred_at
FROM entries e LEFT JOIN earnings n ON n.entry_seq = e.seq ORDER BY e.seq
