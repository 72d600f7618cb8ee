SELECT source FROM sources WHERE source_no = ?1
