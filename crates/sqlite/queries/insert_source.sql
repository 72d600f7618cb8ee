INSERT INTO sources (source_no, source) VALUES (?1, ?2)
