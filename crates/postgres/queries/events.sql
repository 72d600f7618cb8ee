SELECT n.event, e.source, e.event_id, e.user_no, e.kind_no, e.amount_micros, e.occurred_at,
  e.recorded_at, e.from_user, e.reverses, e.matures_on, e.clawed_micros
FROM unnest($1::uuid[]) AS n (event) JOIN credited c ON c.event = n.event
JOIN earnings e ON e.entry_seq = c.seq
