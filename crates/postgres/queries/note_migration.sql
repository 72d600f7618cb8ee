INSERT INTO migrations (number, name, needs, words) VALUES ($1, $2, $3, $4)
