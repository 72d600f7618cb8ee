SELECT count, amount_fen FROM payout_days WHERE user_no = ?1 AND day = ?2
