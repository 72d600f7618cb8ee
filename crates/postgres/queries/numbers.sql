SELECT n.name, u.user_no FROM unnest($1::text[]) AS n (name) JOIN users u ON u.user_id = n.name
