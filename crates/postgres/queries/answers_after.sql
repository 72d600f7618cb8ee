SELECT scope, key, digest, payout, amount_fen, created_at FROM idempotency
WHERE (scope, key) > ($1, $2) ORDER BY scope, key LIMIT $3
