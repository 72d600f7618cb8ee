SELECT d.door, d.position, d.code, d.raw, d.at, d.times, e.letter, e.fate, e.times, e.at, e.event
FROM dead_letters d LEFT JOIN letter_ends e ON e.letter = ?1 || '-' || lower(hex(?2))
WHERE d.code = ?1 AND d.digest >= ?2 AND d.digest < ?3
