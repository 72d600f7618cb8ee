SELECT u.user_no, u.user_id FROM users u JOIN accounts a ON a.class = 1 AND a.owner = u.user_no
WHERE u.user_no > ?2 AND a.balance_micros >= ?1 ORDER BY u.user_no LIMIT ?3
