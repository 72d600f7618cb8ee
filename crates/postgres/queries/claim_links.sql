WITH due AS (
  SELECT user_no, app FROM app_links
  WHERE refresh_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
  ORDER BY refresh_at, user_no, app LIMIT $2 FOR UPDATE SKIP LOCKED),
leased AS (
  UPDATE app_links l SET lease_until = $3 FROM due WHERE l.user_no = due.user_no AND l.app = due.app
  RETURNING l.*)
SELECT l.user_no, l.app, l.openid, l.unionid, l.scope, l.tokens, l.linked_at, l.standing, l.reason, l.changed_at,
  l.cools_until, l.sharing, l.refresh_at, l.refresh_tries, l.version, u.user_id
FROM leased l JOIN users u USING (user_no) ORDER BY l.refresh_at, l.user_no, l.app
