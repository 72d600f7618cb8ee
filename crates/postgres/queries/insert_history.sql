INSERT INTO payout_history (payout, at, event, state, code, seen, status, request_id, body)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[],
  $7::integer[], $8::text[], $9::bytea[])
