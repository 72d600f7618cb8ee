SELECT subject, kind, day, difference_fen, opened_at, closed_at FROM breaks
WHERE subject = ANY ($1::text[]) AND closed_at IS NULL
