SELECT state, payouts, amount_fen FROM state_totals ORDER BY state
