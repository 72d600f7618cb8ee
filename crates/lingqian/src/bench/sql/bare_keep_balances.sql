INSERT OR REPLACE INTO balances (one, up_to_seq, body) VALUES (1, ?1, ?2)
