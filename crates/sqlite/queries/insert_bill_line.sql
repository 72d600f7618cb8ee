INSERT INTO bill_lines (merchant_no, flow_no, day, booked_at, business_no, voucher, direction,
  amount_fen, balance_fen, words, matched, payout, entry_seq)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
