SELECT subject, kind, day, difference_fen, opened_at, closed_at FROM breaks ORDER BY day, subject
