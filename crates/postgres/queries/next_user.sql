SELECT coalesce(max(user_no), 0) + 1 FROM users
