DELETE FROM deliveries WHERE endpoint = $1
