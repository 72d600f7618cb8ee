UPDATE user_accounts a SET available_micros = n.available, held_micros = n.held,
  receivable_micros = n.receivable, newest = n.newest
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS n (user_no, available, held, receivable, newest)
WHERE a.user_no = n.user_no
