SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE number > $1 ORDER BY number LIMIT $2
