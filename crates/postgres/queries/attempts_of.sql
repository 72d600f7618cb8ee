SELECT number, mchid, app, openid, amount_fen, scene, scene_report, remark, name,
  sends, asks, doubt, first_sent_at, last_sent_at, bill_no
FROM attempts WHERE number > $1 AND number < $2 ORDER BY number
