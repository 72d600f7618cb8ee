INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, billed_fen, state, queue, due_at, hold_seq)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 1, 0, 'requested', 'assess', ?7, ?8)
