SELECT e.seq, e.debit_class, e.debit_owner, e.credit_class, e.credit_owner, e.amount_micros, e.cause,
  e.payout, e.at, k.code, n.source, n.event_id, n.occurred_at
FROM entries e LEFT JOIN earnings n ON n.entry_seq = e.seq LEFT JOIN kinds k USING (kind_no)
WHERE e.user_no = ?1 AND (?2 IS NULL OR e.seq < ?2) ORDER BY e.seq DESC LIMIT ?3
