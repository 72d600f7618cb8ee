SELECT payout FROM payouts WHERE paid_on = $1 AND ($2::text IS NULL OR payout > $2)
ORDER BY payout LIMIT $3
