SELECT openid, user_no FROM links WHERE openid = ANY ($1::text[])
