TRUNCATE events, balances, paid_by_kind, accounts, transfers, entries
