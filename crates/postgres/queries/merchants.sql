SELECT merchant_no, mchid, app, scene, scene_report, remark FROM merchants ORDER BY merchant_no
