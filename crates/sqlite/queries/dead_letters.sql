SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at DESC, rowid DESC LIMIT ?1
