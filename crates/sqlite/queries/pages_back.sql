SELECT first_seq, count, hash, body FROM pages ORDER BY first_seq DESC
