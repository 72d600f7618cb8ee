SELECT scope, cause, actor, reason, since, probe_at, probes, lifted_at FROM stops
WHERE lifted_at IS NULL OR $1 ORDER BY scope, cause
