UPDATE state_totals SET payouts = payouts + ?2, amount_fen = amount_fen + ?3 WHERE state = ?1
