SELECT 1 FROM bill_lines b JOIN merchants m USING (merchant_no)
WHERE m.mchid = ?1 AND b.flow_no = ?2
