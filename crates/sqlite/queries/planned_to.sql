UPDATE endpoints SET planned_to = ?2 WHERE endpoint = ?1
