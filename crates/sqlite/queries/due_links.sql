SELECT l.user_no, l.app, l.openid, l.unionid, l.scope, l.tokens, l.linked_at, l.standing, l.reason, l.changed_at,
  l.cools_until, l.sharing, l.refresh_at, l.refresh_tries, l.version, u.user_id
FROM links l JOIN users u USING (user_no)
WHERE l.refresh_at <= ?1 AND (l.lease_until IS NULL OR l.lease_until <= ?1)
ORDER BY l.refresh_at, l.user_no, l.app LIMIT ?2
