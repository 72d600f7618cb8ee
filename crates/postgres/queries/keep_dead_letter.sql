INSERT INTO dead_letters (code, digest, raw, door, position, at, times)
VALUES ($1, $2, $3, $4, $5, $6, 1)
ON CONFLICT (code, digest) DO UPDATE SET door = excluded.door, position = excluded.position,
  at = excluded.at, times = dead_letters.times + 1, turn = excluded.turn
