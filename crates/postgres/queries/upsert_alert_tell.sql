INSERT INTO alert_tells (kind, subject, target, told_at, times)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, subject, target) DO UPDATE SET told_at = excluded.told_at, times = excluded.times
