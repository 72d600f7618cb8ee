INSERT INTO sink_leases (sink, holder, lease_until) VALUES (?1, ?2, ?3)
ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE holder = excluded.holder OR lease_until <= ?4
