DELETE FROM id_runs WHERE run = ?1
