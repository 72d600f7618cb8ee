INSERT INTO dead_letters (code, digest, raw, door, position, at, times)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bigint[],
  $7::bigint[])
ON CONFLICT (code, digest) DO UPDATE SET door = excluded.door, position = excluded.position,
  at = excluded.at, times = dead_letters.times + excluded.times, turn = excluded.turn
