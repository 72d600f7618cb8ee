SELECT first_seq, count, hash, body FROM pages
WHERE first_seq >= (SELECT coalesce(max(first_seq), 0) FROM pages WHERE first_seq <= ?1)
ORDER BY first_seq
