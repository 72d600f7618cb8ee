INSERT INTO deeds (at, actor, what, subject, reason, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7)
