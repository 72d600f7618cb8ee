SELECT replay_from FROM ledger
