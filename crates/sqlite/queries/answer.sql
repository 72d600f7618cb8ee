SELECT digest, payout, amount_fen, created_at FROM idempotency WHERE scope = ?1 AND key = ?2
