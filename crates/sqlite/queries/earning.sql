SELECT user_no, kind_no, amount_micros, occurred_at, recorded_at
FROM earnings WHERE source = ?1 AND event_id = ?2
