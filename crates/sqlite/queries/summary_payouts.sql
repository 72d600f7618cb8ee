SELECT state, count(*), sum(amount_fen) FROM payouts GROUP BY state ORDER BY state
