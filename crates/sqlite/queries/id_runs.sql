SELECT run, level, bits, ids, first_entry FROM id_runs ORDER BY run
