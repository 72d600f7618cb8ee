INSERT INTO user_accounts (user_no) SELECT * FROM unnest($1::bigint[])
ON CONFLICT (user_no) DO NOTHING
