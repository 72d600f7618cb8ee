DELETE FROM work WHERE payout = ANY ($1::text[])
