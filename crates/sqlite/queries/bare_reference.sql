SELECT payout FROM bare_references WHERE reference = ?1
