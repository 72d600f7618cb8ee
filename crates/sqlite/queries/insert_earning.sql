INSERT INTO earnings
  (entry_seq, source, event_id, user_no, kind_no, amount_micros, occurred_at, recorded_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
