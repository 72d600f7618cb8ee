SELECT newest FROM accounts WHERE class = 1 AND owner = ?1
