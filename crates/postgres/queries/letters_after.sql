SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at, turn OFFSET $1 LIMIT $2
