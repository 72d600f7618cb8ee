INSERT INTO payout_days (user_no, day, count, amount_fen)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])
ON CONFLICT (user_no, day) DO UPDATE SET count = excluded.count, amount_fen = excluded.amount_fen
