-- Nothing is kept of a batch of which one row is refused, so that SQLite need not be able to take a
-- row back alone: that would cost as much as the row.
INSERT OR ROLLBACK INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked,
  hold_seq, created_at, updated_at, version, billed_fen, state, queue, due_at)
VALUES
  (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1, ?1, 1, 0, 'requested', 'assess', ?1)
