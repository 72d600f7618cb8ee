SELECT e.seq, e.debit_class, e.debit_owner, e.credit_class, e.credit_owner, e.amount_micros, e.cause,
  e.payout, e.at, k.code, n.source, n.event_id, n.occurred_at, e.debit_prev, e.credit_prev
FROM entries e LEFT JOIN earnings n ON n.entry_seq = e.seq LEFT JOIN kinds k USING (kind_no)
WHERE e.seq = ?1
