INSERT INTO accounts (class, owner, balance_micros) VALUES (?1, ?2, ?3)
