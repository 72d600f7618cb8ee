SELECT EXISTS (SELECT 1 FROM endpoints WHERE deleted = 0 AND off_since IS NULL
  AND planned_to < (SELECT coalesce(max(number), 0) FROM notices))
