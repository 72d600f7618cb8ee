SELECT deed, at, actor, what, subject, reason, before, after FROM deeds
WHERE ($1::text IS NULL OR subject = $1) ORDER BY deed DESC LIMIT $2
