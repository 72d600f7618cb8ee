SELECT user_no, day, count, amount_fen FROM payout_days WHERE count > 0 OR amount_fen > 0
ORDER BY user_no, day
