INSERT INTO link_states (digest, user_no, app, expires_at, used_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at
