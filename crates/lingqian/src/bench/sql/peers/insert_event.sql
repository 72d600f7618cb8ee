INSERT INTO events (source, event_id, user_name, kind, amount_micros, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ON CONSTRAINT event_once DO NOTHING
