SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at,
  debit_prev, credit_prev, source, event_id, said_user, said_kind, said_amount_micros
FROM entries WHERE seq > $1 AND seq <= $2 ORDER BY seq
