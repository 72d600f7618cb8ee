SELECT user_no, kind_no, day, count, amount_micros FROM kind_days
WHERE user_no = ANY ($1::bigint[]) ORDER BY user_no, kind_no
