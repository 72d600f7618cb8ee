INSERT INTO balances (user_name, micros)
SELECT 'u-' || lpad(no::text, 10, '0'), 0 FROM generate_series(0, $1::bigint - 1) AS no
