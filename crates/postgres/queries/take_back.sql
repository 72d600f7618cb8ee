INSERT INTO taken_back (seq, micros)
SELECT c.seq, n.micros FROM unnest($1::uuid[], $2::bigint[]) AS n (event, micros)
JOIN credited c ON c.event = n.event
ON CONFLICT (seq) DO UPDATE SET micros = excluded.micros
