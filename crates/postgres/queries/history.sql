SELECT at, event, state, code, seen, status, request_id, body
FROM payout_history WHERE payout = $1 ORDER BY line
