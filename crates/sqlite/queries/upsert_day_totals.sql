INSERT INTO payout_days (user_no, day, count, amount_fen) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (user_no, day) DO UPDATE SET count = excluded.count, amount_fen = excluded.amount_fen
