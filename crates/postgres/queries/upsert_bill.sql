INSERT INTO bills (merchant_no, day, sha1, lines, out_fen, in_fen, opening_fen, closing_fen,
  fetched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (merchant_no, day) DO UPDATE SET sha1 = excluded.sha1, lines = excluded.lines,
  out_fen = excluded.out_fen, in_fen = excluded.in_fen, opening_fen = excluded.opening_fen,
  closing_fen = excluded.closing_fen, fetched_at = excluded.fetched_at
