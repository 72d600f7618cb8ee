INSERT INTO work (payout, queue, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (payout) DO UPDATE SET queue = excluded.queue, due_at = excluded.due_at,
  lease_until = NULL
