SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at, rowid LIMIT ?2 OFFSET ?1
