SELECT a.user_no, a.available_micros, a.held_micros, a.receivable_micros, a.newest, a.ctid
FROM unnest($1::bigint[]) AS n (user_no) JOIN user_accounts a ON a.user_no = n.user_no
