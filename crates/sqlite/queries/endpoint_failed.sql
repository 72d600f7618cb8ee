UPDATE endpoints SET failures = failures + 1, failed_at = ?2, failed_with = ?3,
  paused_until = coalesce(?4, paused_until),
  off_why = CASE WHEN ?5 AND off_since IS NULL THEN ?3 ELSE off_why END,
  off_since = CASE WHEN ?5 THEN coalesce(off_since, ?2) ELSE off_since END
WHERE endpoint = ?1
