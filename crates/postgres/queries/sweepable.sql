SELECT u.user_no, u.user_id FROM user_accounts a JOIN users u USING (user_no)
WHERE a.user_no > $2 AND coalesce(a.available_micros, 0) >= $1 ORDER BY a.user_no LIMIT $3
