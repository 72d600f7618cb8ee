SELECT number, mchid, app, openid, amount_fen, scene, scene_report, remark, name,
  sends, asks, doubt, first_sent_at, last_sent_at, bill_no, seat
FROM attempts WHERE number BETWEEN $1 AND $2 ORDER BY number
