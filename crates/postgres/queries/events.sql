SELECT c.event, e.source, e.event_id, coalesce(e.said_user, e.credit_owner),
  coalesce(e.said_kind, e.debit_owner), coalesce(e.said_amount_micros, e.amount_micros),
  e.occurred_at, coalesce(e.said_recorded_at, e.at)
FROM credited c JOIN entries e ON e.seq = c.seq WHERE c.event = ANY ($1::uuid[])
