UPDATE endpoints SET failures = 0, paused_until = NULL, delivered_at = $2 WHERE endpoint = $1
