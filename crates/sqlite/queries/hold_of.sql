SELECT hold_seq FROM payouts WHERE payout = ?1 AND hold_seq IS NOT NULL
