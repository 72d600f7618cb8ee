SELECT source_no, source FROM sources ORDER BY source_no
