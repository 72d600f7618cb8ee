SELECT ids FROM id_buckets WHERE slot = ?1
