SELECT at, event, state, code, seen, status, request_id, body, payout
FROM payout_history WHERE payout = ANY ($1::text[]) ORDER BY payout, line
