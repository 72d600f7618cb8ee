INSERT INTO pages (first_seq, count, hash, body) VALUES (?1, ?2, ?3, ?4)
