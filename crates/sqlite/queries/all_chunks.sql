SELECT chunk, stored_to, body FROM account_chunks ORDER BY chunk
