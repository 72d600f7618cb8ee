SELECT queue, count(*) FROM payouts WHERE queue IS NOT NULL GROUP BY queue ORDER BY queue
