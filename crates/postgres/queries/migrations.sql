SELECT number, name, needs, words FROM migrations ORDER BY number
