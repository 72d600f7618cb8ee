WITH booked AS (
  INSERT INTO events (source, event_id, user_name, kind, amount_micros, occurred_at)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
  ON CONFLICT ON CONSTRAINT event_once DO NOTHING
  RETURNING user_name, amount_micros),
added AS (
  UPDATE balances b SET micros = b.micros + sums.micros
  FROM (SELECT user_name, sum(amount_micros)::bigint AS micros FROM booked GROUP BY user_name) AS sums
  WHERE b.user_name = sums.user_name)
SELECT count(*) FROM booked
