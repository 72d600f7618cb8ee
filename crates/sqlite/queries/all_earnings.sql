SELECT e.seq, e.debit_class, e.debit_owner, e.credit_class, e.credit_owner, e.amount_micros, e.cause,
  e.payout, e.at, n.source, n.event_id, n.amount_micros, n.user_no, n.kind_no
FROM earnings n LEFT JOIN entries e ON e.seq = n.entry_seq ORDER BY n.entry_seq
