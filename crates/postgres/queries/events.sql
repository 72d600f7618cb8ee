SELECT n.event, e.source, e.event_id, e.user_no, e.kind_no, e.amount_micros, e.occurred_at,
  e.recorded_at, e.from_user, e.reverses, e.matures_on, e.clawed_micros,
  -- What paid a debt is the entry that follows; it matters only where the rest cools off.
  coalesce(r.amount_micros, 0)
FROM unnest($1::uuid[]) AS n (event) JOIN credited c ON c.event = n.event
JOIN earnings e ON e.entry_seq = c.seq
LEFT JOIN entries r ON e.matures_on IS NOT NULL AND r.seq = e.entry_seq + 1 AND r.cause = 'repay'
