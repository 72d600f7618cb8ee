SELECT amount_micros FROM clawed WHERE entry_seq = ?1
