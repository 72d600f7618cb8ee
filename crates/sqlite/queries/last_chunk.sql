SELECT max(chunk) FROM account_chunks
