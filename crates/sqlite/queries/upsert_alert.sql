INSERT INTO alerts (kind, subject, since, noticed_at, ended_at, words)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (kind, subject) DO UPDATE SET since = excluded.since, noticed_at = excluded.noticed_at,
  ended_at = excluded.ended_at, words = excluded.words
