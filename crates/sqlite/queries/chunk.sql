SELECT stored_to, form, body FROM account_chunks WHERE chunk = ?1
