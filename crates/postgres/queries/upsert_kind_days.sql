INSERT INTO kind_days (user_no, kind_no, day, count, amount_micros)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[])
ON CONFLICT (user_no, kind_no) DO UPDATE SET day = excluded.day, count = excluded.count,
  amount_micros = excluded.amount_micros
