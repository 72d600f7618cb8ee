SELECT entry_seq, amount_micros FROM clawed ORDER BY entry_seq
