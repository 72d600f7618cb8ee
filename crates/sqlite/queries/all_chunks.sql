SELECT chunk, stored_to, form, body FROM account_chunks ORDER BY chunk
