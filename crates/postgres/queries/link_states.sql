SELECT digest, user_no, app, expires_at, used_at FROM link_states WHERE digest = ANY ($1::bytea[])
