UPDATE deliveries SET lease_until = ?3 WHERE endpoint = ?1 AND number = ?2
