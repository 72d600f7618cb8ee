INSERT INTO account_chunks (chunk, stored_to, body) VALUES (?1, ?2, ?3)
ON CONFLICT (chunk) DO UPDATE SET stored_to = excluded.stored_to, body = excluded.body
