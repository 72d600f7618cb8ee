SELECT ensure_room($1, $2)
