SELECT reference FROM payouts WHERE reference = ANY ($1::text[])
