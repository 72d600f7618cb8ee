UPDATE alert_watch SET holder = ?1, until = ?3
WHERE one = 1 AND (until <= ?2 OR until > ?4)
