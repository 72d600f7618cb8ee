SELECT code FROM kinds WHERE kind_no = ?1
