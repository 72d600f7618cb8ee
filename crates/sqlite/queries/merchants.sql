SELECT merchant_no, mchid, app, scene, scene_report, remark, weight, day_quota_fen FROM merchants
ORDER BY merchant_no
