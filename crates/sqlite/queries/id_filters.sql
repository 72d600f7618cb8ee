SELECT slot, filter FROM id_filters WHERE slot >= ?1 AND slot < ?2 ORDER BY slot
