SELECT pg_advisory_xact_lock(hashtextextended('lingqian notes', 0)),
  (SELECT coalesce(max(number), 0) FROM migrations), (SELECT coalesce(max(needs), 0) FROM migrations)
