INSERT INTO letter_ends (letter, fate, times, at, event) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (letter) DO UPDATE SET fate = excluded.fate, times = excluded.times,
  at = excluded.at, event = excluded.event
WHERE times < excluded.times
  OR (fate, times, at, event) = (excluded.fate, excluded.times, excluded.at, excluded.event)
