DELETE FROM alert_tells WHERE kind = ?1 AND subject = ?2 AND target = ?3
