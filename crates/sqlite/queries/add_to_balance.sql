UPDATE accounts SET balance_micros = balance_micros + ?3, newest = coalesce(?4, newest)
WHERE class = ?1 AND owner = ?2
