UPDATE accounts SET balance_micros = balance_micros + ?3 WHERE class = ?1 AND owner = ?2
