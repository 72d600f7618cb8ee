SELECT state, payouts, amount_fen FROM state_totals WHERE payouts > 0 ORDER BY state
