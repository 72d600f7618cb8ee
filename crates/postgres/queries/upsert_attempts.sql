INSERT INTO attempts (payout, number, mchid, app, openid, amount_fen, scene, scene_report, remark,
  name, canonical, sends, asks, doubt, first_sent_at, last_sent_at, bill_no, seat)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
  $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[], $12::bigint[], $13::bigint[],
  $14::boolean[], $15::bigint[], $16::bigint[], $17::text[], $18::text[])
ON CONFLICT (number) DO UPDATE SET payout = excluded.payout, mchid = excluded.mchid,
  app = excluded.app, openid = excluded.openid, amount_fen = excluded.amount_fen,
  scene = excluded.scene, scene_report = excluded.scene_report, remark = excluded.remark,
  name = excluded.name, canonical = excluded.canonical, sends = excluded.sends,
  asks = excluded.asks, doubt = excluded.doubt, first_sent_at = excluded.first_sent_at,
  last_sent_at = excluded.last_sent_at, bill_no = excluded.bill_no,
  seat = excluded.seat
