SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at
FROM entries WHERE payout = $1 ORDER BY seq
