SELECT EXISTS (SELECT 1 FROM bare_references), EXISTS (SELECT 1 FROM idempotency)
