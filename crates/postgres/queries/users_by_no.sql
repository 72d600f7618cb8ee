SELECT user_no, user_id, created_at, frozen, name FROM users WHERE user_no = ANY ($1::bigint[])
