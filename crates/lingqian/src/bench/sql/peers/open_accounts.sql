INSERT INTO accounts (name, may_be_negative)
SELECT 'funding:' || kind, true FROM unnest($2::text[]) AS kind
UNION ALL
SELECT 'u-' || lpad(no::text, 10, '0'), false FROM generate_series(0, $1::bigint - 1) AS no
