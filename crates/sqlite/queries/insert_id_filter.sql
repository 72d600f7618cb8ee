INSERT INTO id_filters (slot, filter) VALUES (?1, ?2)
