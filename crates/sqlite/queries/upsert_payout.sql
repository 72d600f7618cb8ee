INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, queue, due_at,
  tries, approvals)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?20, ?21)
ON CONFLICT (payout) DO UPDATE SET user_no = excluded.user_no,
  merchant_no = excluded.merchant_no, amount_fen = excluded.amount_fen,
  reference = excluded.reference, asked = excluded.asked, created_at = excluded.created_at,
  updated_at = excluded.updated_at, version = excluded.version,
  counted_on = excluded.counted_on, billed_fen = excluded.billed_fen, state = excluded.state,
  code = excluded.code, package = excluded.package, paid_at = excluded.paid_at,
  paid_on = excluded.paid_on, tries = excluded.tries, approvals = excluded.approvals,
  queue = CASE WHEN ?19 THEN excluded.queue ELSE queue END,
  due_at = CASE WHEN ?19 THEN excluded.due_at ELSE due_at END,
  lease_until = CASE WHEN ?19 THEN NULL ELSE lease_until END
