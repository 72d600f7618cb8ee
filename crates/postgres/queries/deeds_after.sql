SELECT deed, at, actor, what, subject, reason, before, after FROM deeds
WHERE deed > $1 ORDER BY deed LIMIT $2
