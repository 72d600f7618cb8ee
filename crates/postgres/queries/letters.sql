SELECT d.door, d.position, d.code, ''::bytea, d.at, d.times, e.letter, e.fate, e.times, e.at, e.event,
  d.digest, length(d.raw)::bigint
FROM dead_letters d LEFT JOIN letter_ends e
  ON e.letter = d.code || '-' || encode(substr(d.digest, 1, 16), 'hex')
WHERE $2::boolean OR e.letter IS NULL OR e.times < d.times
ORDER BY d.at DESC, d.turn DESC LIMIT $1
