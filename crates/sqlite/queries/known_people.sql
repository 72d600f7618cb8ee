SELECT EXISTS (SELECT 1 FROM users WHERE user_no = ?1) AND EXISTS (SELECT 1 FROM merchants WHERE merchant_no = ?2)
