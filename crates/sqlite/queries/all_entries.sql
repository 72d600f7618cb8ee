SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at,
  debit_prev, credit_prev
FROM entries ORDER BY seq
