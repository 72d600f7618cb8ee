INSERT INTO idempotency (scope, key, digest, payout, amount_fen, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
