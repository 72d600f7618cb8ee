INSERT INTO balances (user, micros)
VALUES (?1, ?2)
ON CONFLICT (user) DO UPDATE SET micros = micros + excluded.micros
