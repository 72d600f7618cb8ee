DELETE FROM work WHERE payout = ?1
