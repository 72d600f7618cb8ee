SELECT stored_to FROM account_chunks WHERE chunk = ?1
