SELECT sql FROM migrations WHERE number = ?1
