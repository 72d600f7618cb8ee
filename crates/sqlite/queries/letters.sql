SELECT d.door, d.position, d.code, x'', d.at, d.times, e.letter, e.fate, e.times, e.at, e.event,
  d.digest, length(d.raw)
FROM dead_letters d LEFT JOIN letter_ends e
  ON e.letter = d.code || '-' || lower(hex(substr(d.digest, 1, 16)))
WHERE ?2 OR e.letter IS NULL OR e.times < d.times
ORDER BY d.at DESC, d.rowid DESC LIMIT ?1
