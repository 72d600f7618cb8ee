INSERT INTO merchants (merchant_no, mchid, app, scene, scene_report, remark)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (merchant_no) DO UPDATE SET mchid = excluded.mchid, app = excluded.app,
  scene = excluded.scene, scene_report = excluded.scene_report, remark = excluded.remark
