SELECT e.source, e.event_id, e.amount_micros, t.micros
FROM taken_back t LEFT JOIN earnings e ON e.entry_seq = t.seq ORDER BY t.seq
