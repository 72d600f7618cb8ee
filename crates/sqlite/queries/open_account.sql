INSERT INTO accounts (class, owner, balance_micros, newest) VALUES (?1, ?2, ?3, ?4)
