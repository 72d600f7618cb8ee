SELECT first_seq, count, hash FROM pages ORDER BY first_seq DESC LIMIT 1
