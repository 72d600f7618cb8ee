INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros,
  cause, payout, at, debit_prev, credit_prev, source, event_id, occurred_at, said_user, said_kind,
  said_amount_micros, said_recorded_at)
SELECT $1::bigint + n.place - 1, n.debit_class, n.debit_owner, n.credit_class, n.credit_owner,
  n.amount, n.cause, n.payout, n.at, n.debit_prev, n.credit_prev, n.source, n.event_id,
  n.occurred_at, n.said_user, n.said_kind, n.said_amount, n.said_recorded_at
FROM unnest($2::smallint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[], $7::text[],
  $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[],
  $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[]) WITH ORDINALITY
  AS n (debit_class, debit_owner, credit_class, credit_owner, amount, cause, payout, at,
  debit_prev, credit_prev, source, event_id, occurred_at, said_user, said_kind, said_amount,
  said_recorded_at, place)
