INSERT INTO users (user_no, user_id, created_at, frozen, name)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[], $5::bytea[])
ON CONFLICT (user_no) DO UPDATE SET user_id = excluded.user_id, frozen = excluded.frozen,
  name = excluded.name
