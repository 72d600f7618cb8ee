WITH RECURSIVE numbers (run) AS (
  SELECT min(slot) >> 24 FROM id_buckets
  UNION ALL
  SELECT (SELECT min(slot) >> 24 FROM id_buckets WHERE slot >= (run + 1) << 24) FROM numbers
  WHERE run IS NOT NULL)
SELECT run FROM numbers WHERE run IS NOT NULL
