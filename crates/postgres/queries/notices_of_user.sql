SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE user_id = $1 AND number > $2 ORDER BY number LIMIT $3
