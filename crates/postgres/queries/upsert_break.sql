INSERT INTO breaks (subject, kind, day, difference_fen, opened_at, closed_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (subject) DO UPDATE SET kind = excluded.kind, day = excluded.day,
  difference_fen = excluded.difference_fen, opened_at = excluded.opened_at,
  closed_at = excluded.closed_at
