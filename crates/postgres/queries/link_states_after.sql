SELECT digest, user_no, app, expires_at, used_at FROM link_states
WHERE digest > $1 ORDER BY digest LIMIT $2
