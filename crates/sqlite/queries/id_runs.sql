SELECT run, level, bits, ids FROM id_runs ORDER BY run
