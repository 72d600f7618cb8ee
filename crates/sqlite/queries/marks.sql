SELECT name, position FROM marks WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name
