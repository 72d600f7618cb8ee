INSERT INTO endpoints (endpoint, url, events, note, created_at, off_since, off_why, deleted,
  planned_to)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,
  coalesce(?9, (SELECT coalesce(max(number), 0) FROM notices)))
ON CONFLICT (endpoint) DO UPDATE SET url = excluded.url, events = excluded.events,
  note = excluded.note, created_at = excluded.created_at, off_since = excluded.off_since,
  off_why = excluded.off_why, deleted = excluded.deleted,
  planned_to = coalesce(?9, planned_to),
  failures = CASE WHEN excluded.off_since IS NULL THEN 0 ELSE failures END,
  paused_until = CASE WHEN excluded.off_since IS NULL THEN NULL ELSE paused_until END
