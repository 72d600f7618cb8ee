INSERT INTO notices (at, event, subject, user_id, version, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
