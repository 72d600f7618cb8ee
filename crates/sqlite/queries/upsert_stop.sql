INSERT INTO stops (scope, cause, actor, reason, since, probe_at, probes, lifted_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (scope, cause) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,
  since = excluded.since, probe_at = excluded.probe_at, probes = excluded.probes,
  lifted_at = excluded.lifted_at
