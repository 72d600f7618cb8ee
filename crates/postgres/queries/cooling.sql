SELECT user_no, day, amount_micros FROM cooling
WHERE user_no = ANY ($1::bigint[]) AND day > $2 AND amount_micros > 0
