DELETE FROM alerts WHERE kind = ?1 AND subject = ?2
