DELETE FROM id_filters WHERE slot IN (
  SELECT slot FROM id_filters WHERE slot >= ?1 AND slot < ?2 ORDER BY slot LIMIT ?3)
