SELECT first_seq, count, body FROM pages WHERE first_seq BETWEEN ?1 AND ?2 ORDER BY first_seq
