UPDATE work SET lease_until = ?2 WHERE payout = ?1
