SELECT count(*) FROM (SELECT 1 FROM notices
  WHERE user_id = ?1 AND number > ?2 AND instr(?3, ' ' || event || ' ') > 0 LIMIT ?4)
