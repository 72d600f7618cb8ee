-- The cast keeps SQLite from planning anew for each user: it does so wherever a bare parameter meets an
-- index of rows that are not null.
SELECT user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version
FROM links WHERE user_no = CAST(?1 AS INTEGER) ORDER BY app
