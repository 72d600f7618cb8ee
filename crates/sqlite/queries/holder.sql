SELECT user_no FROM links WHERE openid = ?1
