SELECT l.user_no, l.app, l.openid, l.unionid, l.scope, l.tokens, l.linked_at, l.standing, l.reason, l.changed_at,
  l.cools_until, l.sharing, l.refresh_at, l.refresh_tries, l.version, u.user_id
FROM links l JOIN users u USING (user_no)
WHERE (l.user_no, l.app) > (?1, ?2) AND (?3 IS NULL OR l.standing = ?3)
  AND (?4 IS NULL OR l.app = ?4)
  AND (NOT ?5 OR (l.sharing = 'flagged' AND l.standing <> 'revoked'))
ORDER BY l.user_no, l.app LIMIT ?6
