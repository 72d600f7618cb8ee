INSERT INTO sink_leases AS s (sink, holder, lease_until) VALUES ($1, $2, $3)
ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE s.holder = excluded.holder OR s.lease_until <= $4
