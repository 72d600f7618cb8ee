UPDATE payouts SET user_no = ?2, merchant_no = ?3, amount_fen = ?4, reference = ?5, asked = ?6,
  created_at = ?7, updated_at = ?8, version = ?9, counted_on = ?10, billed_fen = ?11, state = ?12,
  code = ?13, package = ?14, paid_at = ?15, paid_on = ?16,
  queue = CASE WHEN ?19 THEN ?17 ELSE queue END,
  due_at = CASE WHEN ?19 THEN ?18 ELSE due_at END,
  lease_until = CASE WHEN ?19 THEN NULL ELSE lease_until END,
  tries = ?20, approvals = ?21
WHERE payout = ?1
