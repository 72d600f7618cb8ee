-- Only one process at a time goes on for an endpoint; others leave it to that one.
SELECT endpoint, planned_to FROM endpoints
WHERE NOT deleted AND off_since IS NULL
  AND planned_to < (SELECT coalesce(max(number), 0) FROM notices)
ORDER BY endpoint FOR UPDATE SKIP LOCKED
