SELECT pg_try_advisory_xact_lock(hashtextextended('lingqian fold', 0))
