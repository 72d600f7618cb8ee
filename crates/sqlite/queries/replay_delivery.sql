INSERT INTO deliveries (endpoint, number, lane, due_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (endpoint, number) DO UPDATE SET due_at = excluded.due_at, lease_until = NULL,
  tries = 0, first_at = NULL, code = NULL
