SELECT merchant_no, day, sum(CASE direction WHEN 'out' THEN amount_fen ELSE -amount_fen END)
FROM bill_lines GROUP BY merchant_no, day ORDER BY merchant_no, day
