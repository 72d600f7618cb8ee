INSERT INTO clawed (entry_seq, amount_micros) VALUES (?1, ?2)
ON CONFLICT (entry_seq) DO UPDATE SET amount_micros = excluded.amount_micros
