UPDATE deliveries SET due_at = $3, lease_until = NULL, tries = tries + 1,
  first_at = coalesce(first_at, $4), code = $5
WHERE endpoint = $1 AND number = $2
