INSERT INTO account_chunks (chunk, stored_to, form, body) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (chunk) DO UPDATE
SET stored_to = excluded.stored_to, form = excluded.form, body = excluded.body
