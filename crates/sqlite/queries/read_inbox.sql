INSERT INTO message_reads AS m (user_id, read_to) VALUES (?1, ?2)
ON CONFLICT (user_id) DO UPDATE SET read_to = max(m.read_to, excluded.read_to)
