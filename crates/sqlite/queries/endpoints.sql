SELECT endpoint, url, events, note, created_at, off_since, off_why, deleted, planned_to, failures,
  paused_until, delivered_at, failed_at, failed_with,
  (SELECT count(*) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NOT NULL),
  (SELECT count(*) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NULL),
  (SELECT min(number) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NOT NULL)
FROM endpoints AS e WHERE ?1 OR deleted = 0 ORDER BY endpoint
