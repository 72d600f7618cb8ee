SELECT user_no, available_micros, held_micros, receivable_micros, newest FROM user_accounts
ORDER BY user_no
