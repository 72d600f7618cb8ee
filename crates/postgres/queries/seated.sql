SELECT payout FROM attempts WHERE seat > $1 AND seat < $2 ORDER BY seat
