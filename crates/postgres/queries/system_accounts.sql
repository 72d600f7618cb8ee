SELECT class, owner, balance_micros FROM system_balances ORDER BY class, owner
