SELECT DISTINCT p.person, l.user_no FROM unnest($1::text[]) AS p (person)
JOIN app_links l ON l.openid = p.person OR l.unionid = p.person
WHERE l.standing <> 'revoked'
