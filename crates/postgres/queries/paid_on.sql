SELECT payout FROM payouts
WHERE paid_on = $1 AND merchant_no = $2 AND ($3::text IS NULL OR payout > $3)
ORDER BY payout LIMIT $4
