SELECT seq, at, at_ms, day, cause, amount_micros, debit_account, debit_owner, debit_class,
  debit_owner_no, credit_account, credit_owner, credit_class, credit_owner_no, kind, source,
  event_id, occurred_at, occurred_at_ms, NULL::bigint, payout, matures_on, counted
FROM lingqian_views.entries WHERE seq > $1 AND seq <= $2 ORDER BY seq
