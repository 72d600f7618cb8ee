INSERT INTO dead_letters (code, raw, door, position, at, times, digest)
VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
ON CONFLICT (code, digest) DO UPDATE SET door = excluded.door, position = excluded.position,
  at = excluded.at, times = times + 1
