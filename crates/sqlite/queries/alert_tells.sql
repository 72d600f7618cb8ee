SELECT kind, subject, target, told_at, times FROM alert_tells ORDER BY kind, subject, target
