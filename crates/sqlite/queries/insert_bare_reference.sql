INSERT INTO bare_references (reference, payout) VALUES (?1, ?2)
