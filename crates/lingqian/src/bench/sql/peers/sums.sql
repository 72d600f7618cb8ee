SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM transfers),
  (SELECT coalesce(sum(micros), 0)::bigint FROM balances)
    + (SELECT coalesce(sum(balance), 0)::bigint FROM accounts WHERE NOT may_be_negative),
  (SELECT coalesce(sum(balance), 0)::bigint FROM accounts),
  (SELECT count(*) FROM accounts a WHERE version <> (
    SELECT count(*) FROM entries e WHERE e.account = a.account))
