INSERT INTO bill_lines (merchant_no, flow_no, day, booked_at, business_no, voucher, direction,
  amount_fen, balance_fen, words, matched, payout, entry_seq)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[],
  $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[],
  $13::bigint[])
