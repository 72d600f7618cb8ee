SELECT (SELECT count(*) FROM users),
  (SELECT count(DISTINCT user_no) FROM app_links WHERE standing <> 'revoked'), h.earned_count,
  h.earned_micros::text, (SELECT count(*) FROM dead_letters),
  (SELECT count(*) FROM breaks WHERE closed_at IS NULL), coalesce(a.available, 0)::text,
  coalesce(a.held, 0)::text, coalesce(-a.receivable, 0)::text
FROM chain_head h, (
  SELECT sum(available_micros) AS available, sum(held_micros) AS held,
    sum(receivable_micros) AS receivable FROM user_accounts) AS a
