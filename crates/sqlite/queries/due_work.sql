SELECT payout FROM payouts
WHERE queue = ?1 AND due_at <= ?2 AND (lease_until IS NULL OR lease_until <= ?2)
ORDER BY due_at, payout LIMIT ?3
