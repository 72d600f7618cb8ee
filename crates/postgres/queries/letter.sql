SELECT d.door, d.position, d.code, d.raw, d.at, d.times, e.letter, e.fate, e.times, e.at, e.event
FROM dead_letters d LEFT JOIN letter_ends e
  ON e.letter = d.code || '-' || encode(substr(d.digest, 1, 16), 'hex')
WHERE d.code = $1 AND d.digest >= decode($2, 'hex')
  AND d.digest <= decode($2, 'hex') || decode(repeat('ff', 16), 'hex')
