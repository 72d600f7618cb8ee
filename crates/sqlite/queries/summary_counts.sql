SELECT (SELECT count(*) FROM dead_letters),
  (SELECT count(*) FROM breaks WHERE closed_at IS NULL),
  (SELECT coalesce(sum(balance_micros), 0) FROM accounts WHERE class = 1),
  (SELECT coalesce(sum(balance_micros), 0) FROM accounts WHERE class = 2)
