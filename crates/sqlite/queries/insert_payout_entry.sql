INSERT INTO payout_entries (payout, entry_seq) VALUES (?1, ?2)
