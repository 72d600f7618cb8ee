INSERT INTO system_deltas (batch_no, class, owner, delta_micros)
SELECT $1::bigint, n.class, n.owner, n.delta
FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS n (class, owner, delta)
