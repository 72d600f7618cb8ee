INSERT INTO entries (source, event_id, user, kind, amount_micros, occurred_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (source, event_id) DO NOTHING
