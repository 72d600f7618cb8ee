SELECT class, owner, balance_micros FROM accounts ORDER BY class, owner
