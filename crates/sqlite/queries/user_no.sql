SELECT user_no FROM users WHERE user_id = ?1
