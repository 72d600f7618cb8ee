INSERT INTO id_runs (run, level, bits, ids) VALUES (?1, ?2, ?3, ?4)
