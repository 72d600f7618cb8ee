UPDATE links SET lease_until = ?3 WHERE user_no = ?1 AND app = ?2
