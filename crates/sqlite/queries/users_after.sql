SELECT user_no, user_id, created_at, frozen, name FROM users
WHERE user_no > ?1 ORDER BY user_no LIMIT ?2
