SELECT stored_to, body FROM account_chunks WHERE chunk = ?1
