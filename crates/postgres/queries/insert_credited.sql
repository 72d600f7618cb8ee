INSERT INTO credited (event, seq) SELECT * FROM unnest($1::uuid[], $2::bigint[])
