SELECT name, position FROM marks WHERE starts_with(name, $1) ORDER BY name
