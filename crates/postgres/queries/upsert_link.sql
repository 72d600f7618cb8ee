INSERT INTO app_links (user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (user_no, app) DO UPDATE SET openid = excluded.openid, unionid = excluded.unionid, scope = excluded.scope, tokens =
  excluded.tokens, linked_at = excluded.linked_at, standing = excluded.standing, reason =
  excluded.reason, changed_at = excluded.changed_at, cools_until = excluded.cools_until,
  sharing = excluded.sharing, refresh_at = excluded.refresh_at, refresh_tries =
  excluded.refresh_tries, version = excluded.version, lease_until = NULL
