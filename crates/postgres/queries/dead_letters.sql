SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at DESC, turn DESC LIMIT $1
