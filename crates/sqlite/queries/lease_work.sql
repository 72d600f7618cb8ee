UPDATE payouts SET lease_until = ?2 WHERE payout = ?1
