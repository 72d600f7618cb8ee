INSERT INTO work (payout, queue, due_at, lease_until) VALUES (?1, ?2, ?3, NULL)
ON CONFLICT (payout) DO UPDATE SET queue = excluded.queue, due_at = excluded.due_at,
  lease_until = NULL
