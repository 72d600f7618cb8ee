UPDATE dead_letters SET digest = ?2 WHERE rowid = ?1
