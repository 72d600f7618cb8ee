SELECT coalesce(sum(micros), 0)
FROM balances
