SELECT mchid FROM merchants WHERE merchant_no = ?1
