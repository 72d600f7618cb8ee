DELETE FROM deliveries WHERE endpoint = $1 AND number = $2
