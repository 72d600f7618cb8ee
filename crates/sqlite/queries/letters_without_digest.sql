SELECT rowid, raw FROM dead_letters WHERE digest IS NULL
