INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, tries, approvals)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
  $7::bigint[], $8::bigint[], $9::bigint[], $10::integer[], $11::bigint[], $12::text[],
  $13::text[], $14::text[], $15::bigint[], $16::integer[], $17::bigint[],
  $18::text[])
ON CONFLICT (payout) DO UPDATE SET user_no = excluded.user_no,
  merchant_no = excluded.merchant_no, amount_fen = excluded.amount_fen,
  reference = excluded.reference, asked = excluded.asked, created_at = excluded.created_at,
  updated_at = excluded.updated_at, version = excluded.version,
  counted_on = excluded.counted_on, billed_fen = excluded.billed_fen, state = excluded.state,
  code = excluded.code, package = excluded.package, paid_at = excluded.paid_at,
  paid_on = excluded.paid_on, tries = excluded.tries, approvals = excluded.approvals
