SELECT class, owner, balance_micros FROM accounts WHERE class NOT IN (1, 2) ORDER BY class, owner
