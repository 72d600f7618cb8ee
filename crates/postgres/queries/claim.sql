WITH due AS (
  SELECT payout, due_at FROM work
  WHERE queue = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
  ORDER BY due_at, payout LIMIT $3 FOR UPDATE SKIP LOCKED),
leased AS (
  UPDATE work SET lease_until = $4 FROM due WHERE work.payout = due.payout
  RETURNING work.payout, due.due_at)
SELECT payout FROM leased ORDER BY due_at, payout
