SELECT target, next_at, failures, told_at, failed_at, failed_with FROM alert_targets ORDER BY target
