INSERT INTO idempotency (scope, key, digest, payout, amount_fen, created_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[])
