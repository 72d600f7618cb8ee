INSERT INTO accounts (class, owner, balance_micros) VALUES (?1, ?2, ?3)
ON CONFLICT (class, owner) DO UPDATE SET balance_micros = excluded.balance_micros
