SELECT entry_seq FROM payout_entries WHERE payout = ?1 ORDER BY entry_seq
