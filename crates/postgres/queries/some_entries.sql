SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at,
  debit_prev, credit_prev, source, event_id, occurred_at, event_kind, event_micros, reverses,
  matures_on
FROM entries WHERE seq > $1 AND seq <= $2 ORDER BY seq
