SELECT state, count(*), sum(amount_fen)::bigint FROM payouts GROUP BY state ORDER BY state
