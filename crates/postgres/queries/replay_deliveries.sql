INSERT INTO deliveries (endpoint, number, lane, due_at)
SELECT $1, number, lane, $4 FROM unnest($2::bigint[], $3::text[]) AS told (number, lane)
ON CONFLICT (endpoint, number) DO UPDATE SET due_at = excluded.due_at, lease_until = NULL,
  tries = 0, first_at = NULL, code = NULL
