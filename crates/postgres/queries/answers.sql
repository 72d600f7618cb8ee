SELECT i.scope, i.key, i.digest, i.payout, i.amount_fen, i.created_at
FROM unnest($1::text[], $2::text[]) AS wanted (scope, key) JOIN idempotency i USING (scope, key)
