INSERT INTO attempts (payout, number, mchid, app, openid, amount_fen, scene, scene_report, remark,
  name, canonical, sends, asks, doubt, first_sent_at, last_sent_at, bill_no, seat)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
ON CONFLICT (number) DO UPDATE SET payout = excluded.payout, mchid = excluded.mchid,
  app = excluded.app, openid = excluded.openid, amount_fen = excluded.amount_fen,
  scene = excluded.scene,
  scene_report = excluded.scene_report, remark = excluded.remark, name = excluded.name,
  canonical = excluded.canonical, sends = excluded.sends, asks = excluded.asks,
  doubt = excluded.doubt, first_sent_at = excluded.first_sent_at,
  last_sent_at = excluded.last_sent_at, bill_no = excluded.bill_no,
  seat = excluded.seat
