SELECT merchant_no, day, sha1, lines, out_fen, in_fen, opening_fen, closing_fen, fetched_at
FROM bills ORDER BY day, merchant_no
