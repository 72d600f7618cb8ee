SELECT entry_seq, merchant_no, flow_no, day, booked_at, business_no, voucher, direction,
  amount_fen, balance_fen, words, matched, payout
FROM bill_lines WHERE entry_seq BETWEEN $1 AND $2
