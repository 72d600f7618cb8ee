SELECT scheme, sealed, until FROM endpoint_secrets WHERE endpoint = $1 ORDER BY place
