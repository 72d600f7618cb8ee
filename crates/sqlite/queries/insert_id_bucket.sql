INSERT INTO id_buckets (slot, filter, ids) VALUES (?1, ?2, ?3)
