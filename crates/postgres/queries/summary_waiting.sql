SELECT queue, count(*) FROM work GROUP BY queue ORDER BY queue
