SELECT user_id FROM users WHERE user_no = ?1
