-- The caller holds the end of the chain, so that nobody else numbers notices meanwhile.
INSERT INTO notices (number, at, event, subject, user_id, version, data)
SELECT (SELECT coalesce(max(number), 0) FROM notices) + place, at, event, subject, user_id,
  version, data
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
  WITH ORDINALITY AS told (at, event, subject, user_id, version, data, place)
