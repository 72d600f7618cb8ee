WITH RECURSIVE own AS (
  SELECT CASE WHEN debit_class IN (1, 2, 3) AND debit_owner = $1 THEN debit_prev
    ELSE credit_prev END AS prev
  FROM entries WHERE seq = $2 AND (debit_class IN (1, 2, 3) AND debit_owner = $1
    OR credit_class IN (1, 2, 3) AND credit_owner = $1)),
begins AS (
  SELECT CASE WHEN EXISTS (SELECT FROM own) THEN (SELECT prev FROM own)
    ELSE (SELECT newest FROM user_accounts WHERE user_no = $1) END AS seq),
walk AS (
  SELECT b.seq, 0::bigint AS shown FROM begins b WHERE b.seq IS NOT NULL
  UNION ALL
  SELECT e.prev, e.shown FROM walk w, LATERAL (
    SELECT CASE WHEN debit_class IN (1, 2, 3) AND debit_owner = $1 THEN debit_prev
        ELSE credit_prev END AS prev,
      w.shown + CASE WHEN $2::bigint IS NULL OR w.seq < $2 THEN 1 ELSE 0 END AS shown
    FROM entries WHERE seq = w.seq OFFSET 0) AS e
  WHERE e.prev IS NOT NULL AND e.shown < $3)
SELECT e.seq, e.debit_class, e.debit_owner, e.credit_class, e.credit_owner, e.amount_micros,
  e.cause, e.payout, e.at, k.code, e.source, e.event_id, e.occurred_at
FROM walk w, LATERAL (SELECT * FROM entries WHERE seq = w.seq OFFSET 0) AS e
LEFT JOIN kinds k ON e.source IS NOT NULL AND k.kind_no = CASE e.cause
  WHEN 'claw_back' THEN e.credit_owner WHEN 'transfer' THEN e.event_kind ELSE e.debit_owner END
WHERE $2::bigint IS NULL OR e.seq < $2
ORDER BY e.seq DESC LIMIT $3
