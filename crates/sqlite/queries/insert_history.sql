INSERT INTO payout_history (payout, at, event, state, code, seen, status, request_id, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
