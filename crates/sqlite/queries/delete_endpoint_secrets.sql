DELETE FROM endpoint_secrets WHERE endpoint = ?1
