SELECT DISTINCT user_no FROM links
WHERE standing <> 'revoked' AND (openid = ?1 OR unionid = ?1)
