INSERT OR IGNORE INTO migrations (number, name, sql) VALUES (?1, ?2, ?3)
