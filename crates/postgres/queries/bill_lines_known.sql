SELECT m.mchid, b.flow_no
FROM unnest($1::text[], $2::text[]) AS wanted (mchid, flow_no)
JOIN merchants m USING (mchid) JOIN bill_lines b USING (merchant_no, flow_no)
