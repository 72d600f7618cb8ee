INSERT INTO cooling (user_no, day, amount_micros)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
ON CONFLICT (user_no, day) DO UPDATE SET amount_micros = excluded.amount_micros
