INSERT INTO merchants (merchant_no, mchid, app, scene, scene_report, remark, weight, day_quota_fen)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (merchant_no) DO UPDATE SET mchid = excluded.mchid, app = excluded.app, scene = excluded.scene,
  scene_report = excluded.scene_report, remark = excluded.remark, weight = excluded.weight,
  day_quota_fen = excluded.day_quota_fen
