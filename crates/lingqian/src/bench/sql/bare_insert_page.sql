INSERT INTO pages (first_seq, entries, checksum, body) VALUES (?1, ?2, ?3, ?4)
