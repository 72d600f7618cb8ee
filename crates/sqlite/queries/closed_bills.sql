SELECT merchant_no, day FROM bills
