SELECT body FROM pages ORDER BY first_seq
