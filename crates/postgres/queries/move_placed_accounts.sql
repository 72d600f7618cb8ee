UPDATE user_accounts a SET available_micros = n.available, held_micros = n.held,
  receivable_micros = n.receivable, newest = n.newest
FROM unnest($1::tid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS n (place, user_no, available, held, receivable, newest)
WHERE a.ctid = n.place AND a.user_no = n.user_no
