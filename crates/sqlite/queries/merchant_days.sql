SELECT merchant_no, day, amount_fen FROM merchant_days WHERE day >= ?1 ORDER BY merchant_no, day
