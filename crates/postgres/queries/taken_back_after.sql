SELECT t.seq, e.source, e.event_id, t.micros
FROM taken_back t LEFT JOIN entries e ON e.seq = t.seq
WHERE t.seq > $1 ORDER BY t.seq LIMIT $2
