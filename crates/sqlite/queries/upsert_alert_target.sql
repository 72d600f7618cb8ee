INSERT INTO alert_targets (target, next_at, failures, told_at, failed_at, failed_with)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (target) DO UPDATE SET next_at = excluded.next_at, failures = excluded.failures,
  told_at = excluded.told_at, failed_at = excluded.failed_at, failed_with = excluded.failed_with
