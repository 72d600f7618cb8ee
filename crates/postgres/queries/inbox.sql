SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE user_id = $1 AND number < $2 AND strpos($3, ' ' || event || ' ') > 0
ORDER BY number DESC LIMIT $4
