SELECT number, tries, first_at, due_at, code FROM deliveries
WHERE endpoint = ?1 AND number > ?2 ORDER BY number LIMIT ?3
