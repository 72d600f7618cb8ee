SELECT user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version
FROM links WHERE user_no = ?1 ORDER BY app
