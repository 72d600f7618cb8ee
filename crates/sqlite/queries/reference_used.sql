SELECT 1 FROM payouts WHERE reference = ?1
