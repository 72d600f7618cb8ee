SELECT user_no, available_micros, held_micros, receivable_micros, newest FROM user_accounts
WHERE user_no = ANY ($1::bigint[])
