SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || printf('%02d', p.tries + 1)
WHERE p.state <> 'requested' AND (?1 IS NULL OR p.state = ?1)
  AND p.user_no = (SELECT user_no FROM users WHERE user_id = ?2) AND (?3 IS NULL OR p.payout < ?3)
UNION ALL
SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p INDEXED BY payouts_open JOIN users u USING (user_no)
  LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || printf('%02d', p.tries + 1)
WHERE p.state = 'requested' AND (?1 IS NULL OR p.state = ?1)
  AND p.user_no = (SELECT user_no FROM users WHERE user_id = ?2) AND (?3 IS NULL OR p.payout < ?3)
ORDER BY 1 DESC LIMIT ?4
