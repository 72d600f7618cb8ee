SELECT user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version
FROM app_links WHERE user_no = ANY ($1::bigint[])
