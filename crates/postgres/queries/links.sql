SELECT user_no, app, openid, unionid, scope, tokens, linked_at FROM links
WHERE user_no = ANY ($1::bigint[])
