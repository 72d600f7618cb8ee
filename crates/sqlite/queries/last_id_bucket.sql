SELECT max(slot) FROM id_buckets
