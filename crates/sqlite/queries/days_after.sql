SELECT user_no, day, count, amount_fen FROM payout_days
WHERE (user_no, day) > (?1, ?2) ORDER BY user_no, day LIMIT ?3
