INSERT INTO deliveries (endpoint, number, lane, due_at)
SELECT $1, number, lane, $4 FROM unnest($2::bigint[], $3::text[]) AS told (number, lane)
ON CONFLICT (endpoint, number) DO NOTHING
