INSERT INTO endpoint_secrets (endpoint, place, scheme, sealed, until) VALUES ($1, $2, $3, $4, $5)
