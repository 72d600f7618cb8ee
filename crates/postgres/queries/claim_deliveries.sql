WITH due AS (
  SELECT d.endpoint, d.number FROM deliveries AS d
  JOIN endpoints AS e ON e.endpoint = d.endpoint AND NOT e.deleted AND e.off_since IS NULL
    AND (e.paused_until IS NULL OR e.paused_until <= $1)
  WHERE d.due_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1)
    AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier
      WHERE earlier.endpoint = d.endpoint AND earlier.lane = d.lane
        AND earlier.number < d.number AND earlier.due_at IS NOT NULL)
  ORDER BY d.due_at, d.number, d.endpoint LIMIT $2
  FOR UPDATE OF d SKIP LOCKED
), leased AS (
  UPDATE deliveries AS d SET lease_until = $3 FROM due
  WHERE d.endpoint = due.endpoint AND d.number = due.number
  RETURNING d.endpoint, d.number, d.tries, d.first_at, d.due_at
)
SELECT n.number, n.at, n.event, n.subject, n.user_id, n.version, n.data, l.endpoint, l.tries,
  l.first_at
FROM leased AS l JOIN notices AS n ON n.number = l.number
ORDER BY l.due_at, n.number, l.endpoint
