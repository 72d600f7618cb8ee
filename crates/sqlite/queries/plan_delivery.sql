INSERT INTO deliveries (endpoint, number, lane, due_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (endpoint, number) DO NOTHING
