DELETE FROM id_buckets WHERE slot IN (
  SELECT slot FROM id_buckets WHERE slot >= ?1 AND slot < ?2 ORDER BY slot LIMIT ?3)
