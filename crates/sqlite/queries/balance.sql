SELECT balance_micros FROM accounts WHERE class = ?1 AND owner = ?2
