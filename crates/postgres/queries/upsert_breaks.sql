INSERT INTO breaks (subject, kind, day, difference_fen, opened_at, closed_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[],
  $6::bigint[])
ON CONFLICT (subject) DO UPDATE SET kind = excluded.kind, day = excluded.day,
  difference_fen = excluded.difference_fen, opened_at = excluded.opened_at,
  closed_at = excluded.closed_at
