INSERT INTO merchant_days (merchant_no, day, amount_fen) VALUES ($1, $2, $3)
ON CONFLICT (merchant_no, day) DO UPDATE SET amount_fen = excluded.amount_fen
