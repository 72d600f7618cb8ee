SELECT user_no, day, amount_micros FROM cooling
WHERE user_no = ANY ($1::bigint[]) AND amount_micros > 0 ORDER BY user_no, day
