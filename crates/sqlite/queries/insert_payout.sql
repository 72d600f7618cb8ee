-- The same values as those of an update, of which ?19 says nothing of a new one.
INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, queue, due_at,
  tries, approvals)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?20, ?21)
