SELECT entry_seq, amount_micros FROM clawed WHERE entry_seq > ?1 ORDER BY entry_seq LIMIT ?2
