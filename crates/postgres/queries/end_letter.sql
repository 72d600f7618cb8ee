INSERT INTO letter_ends (letter, fate, times, at, event) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (letter) DO UPDATE SET fate = excluded.fate, times = excluded.times,
  at = excluded.at, event = excluded.event
WHERE letter_ends.times < excluded.times
  OR (letter_ends.fate, letter_ends.times, letter_ends.at, letter_ends.event)
    = (excluded.fate, excluded.times, excluded.at, excluded.event)
