SELECT (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM breaks WHERE closed_at IS NULL)
