INSERT INTO id_runs (run, level, bits, ids, first_entry) VALUES (?1, ?2, ?3, ?4, ?5)
