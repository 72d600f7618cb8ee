SELECT (SELECT count(*) FROM users),
  (SELECT count(DISTINCT user_no) FROM links WHERE standing <> 'revoked')
