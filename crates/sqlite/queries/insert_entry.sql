INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause,
  payout, at, debit_prev, credit_prev)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
