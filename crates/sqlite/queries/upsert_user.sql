INSERT INTO users (user_no, user_id, created_at, frozen, name) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (user_no) DO UPDATE SET user_id = excluded.user_id, frozen = excluded.frozen, name = excluded.name
