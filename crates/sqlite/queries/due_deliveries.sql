SELECT n.number, n.at, n.event, n.subject, n.user_id, n.version, n.data, d.endpoint, d.tries,
  d.first_at
FROM deliveries AS d
JOIN endpoints AS e ON e.endpoint = d.endpoint AND e.deleted = 0 AND e.off_since IS NULL
  AND (e.paused_until IS NULL OR e.paused_until <= ?1)
JOIN notices AS n ON n.number = d.number
WHERE d.due_at <= ?1 AND (d.lease_until IS NULL OR d.lease_until <= ?1)
  AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier
    WHERE earlier.endpoint = d.endpoint AND earlier.lane = d.lane
      AND earlier.number < d.number AND earlier.due_at IS NOT NULL)
ORDER BY d.due_at, d.number, d.endpoint LIMIT ?2
