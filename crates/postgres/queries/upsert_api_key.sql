INSERT INTO api_keys (id, digest, scopes, created_at, revoked_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(api_keys.revoked_at, excluded.revoked_at)
