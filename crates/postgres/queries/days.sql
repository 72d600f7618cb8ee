SELECT d.user_no, d.day, d.count, d.amount_fen
FROM unnest($1::bigint[], $2::integer[]) AS wanted (user_no, day)
JOIN payout_days d USING (user_no, day)
