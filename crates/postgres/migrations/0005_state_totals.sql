-- How many payouts are in each state, and their sum: kept, so that nobody has to count them.
-- Whoever writes payouts holds the end of the chain, so nobody waits for these rows.
CREATE TABLE state_totals (
  state text COLLATE "C" PRIMARY KEY,
  payouts bigint NOT NULL CHECK (payouts >= 0),
  amount_fen bigint NOT NULL CHECK (amount_fen >= 0)
);
INSERT INTO state_totals (state, payouts, amount_fen)
SELECT n.state, count(p.payout), coalesce(sum(p.amount_fen), 0)::bigint
FROM unnest(ARRAY['requested', 'review', 'approved', 'sending', 'deferred', 'unknown',
  'processing', 'awaiting_user', 'cancelling', 'paid', 'failed', 'expired', 'cancelled',
  'refused']) AS n (state) LEFT JOIN payouts p USING (state)
GROUP BY n.state;

CREATE FUNCTION payouts_join_their_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE state_totals t SET payouts = t.payouts + d.payouts, amount_fen = t.amount_fen + d.amount
  FROM (SELECT state, count(*) AS payouts, sum(amount_fen)::bigint AS amount
    FROM joined GROUP BY state) AS d
  WHERE t.state = d.state;
  RETURN NULL;
END
$$;
CREATE TRIGGER payouts_join_their_state AFTER INSERT ON payouts
REFERENCING NEW TABLE AS joined
FOR EACH STATEMENT EXECUTE FUNCTION payouts_join_their_state();

CREATE FUNCTION payouts_change_their_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE state_totals t SET payouts = t.payouts + d.payouts, amount_fen = t.amount_fen + d.amount
  FROM (SELECT c.state, sum(c.payouts)::bigint AS payouts, sum(c.amount)::bigint AS amount
    FROM (SELECT state, 1 AS payouts, amount_fen AS amount FROM joined
      UNION ALL SELECT state, -1, -amount_fen FROM gone) AS c
    GROUP BY c.state) AS d
  WHERE t.state = d.state AND (d.payouts <> 0 OR d.amount <> 0);
  RETURN NULL;
END
$$;
CREATE TRIGGER payouts_change_their_state AFTER UPDATE ON payouts
REFERENCING OLD TABLE AS gone NEW TABLE AS joined
FOR EACH STATEMENT EXECUTE FUNCTION payouts_change_their_state();
