INSERT INTO links (user_no, app, openid, unionid, scope, tokens, linked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_no) DO UPDATE SET app = excluded.app, openid = excluded.openid,
  unionid = excluded.unionid, scope = excluded.scope, tokens = excluded.tokens,
  linked_at = excluded.linked_at
