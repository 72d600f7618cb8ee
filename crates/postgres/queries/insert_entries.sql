INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros,
  cause, payout, at, debit_prev, credit_prev, source, event_id, occurred_at, event_kind,
  event_micros, reverses, matures_on)
SELECT $1::bigint + n.place - 1, n.debit_class, n.debit_owner, n.credit_class, n.credit_owner,
  n.amount, n.cause, n.payout, n.at, n.debit_prev, n.credit_prev, n.source, n.event_id,
  n.occurred_at, n.event_kind, n.event_micros, n.reverses, n.matures_on
FROM unnest($2::smallint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::text[],
  $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[],
  $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::integer[]) WITH ORDINALITY
  AS n (debit_class, debit_owner, credit_class, credit_owner, amount, cause, payout, at,
  debit_prev, credit_prev, source, event_id, occurred_at, event_kind, event_micros, reverses,
  matures_on, place)
