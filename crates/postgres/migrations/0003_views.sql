-- The books as people ask about them: relations without what is secret, under the names that they
-- have in the books of one file. Whoever may read this schema needs no right to the tables.
CREATE SCHEMA lingqian_views;
COMMENT ON SCHEMA lingqian_views IS 'the books, to be read; nothing in here is secret';

-- A moment as ISO 8601 in UTC, with milliseconds.
CREATE FUNCTION lingqian_views.iso(ms bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(timestamp '1970-01-01' + ms * interval '1 millisecond',
    'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
-- A day.
CREATE FUNCTION lingqian_views.iso_day(day integer) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(date '1970-01-01' + day, 'YYYY-MM-DD')
$$;
-- The business day of a moment, in Asia/Shanghai.
CREATE FUNCTION lingqian_views.business_day(ms bigint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(timestamp '1970-01-01' + (ms + 28800000) * interval '1 millisecond', 'YYYY-MM-DD')
$$;
-- The name of an account in the chart.
CREATE FUNCTION lingqian_views.account_name(class smallint) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE class WHEN 1 THEN 'available' WHEN 2 THEN 'held' WHEN 3 THEN 'receivable'
    WHEN 10 THEN 'funding' WHEN 20 THEN 'clearing' WHEN 21 THEN 'float'
    WHEN 30 THEN 'tax_withheld' WHEN 40 THEN 'fees' ELSE 'suspense' END
$$;
-- Whose account it is: a user's name, a kind's code, a merchant's number.
CREATE FUNCTION lingqian_views.owner_name(class smallint, owner bigint) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN class IN (1, 2, 3) THEN (SELECT user_id FROM lingqian.users WHERE user_no = owner)
    WHEN class = 10 AND owner = 0 THEN 'top_up'
    WHEN class = 10 THEN (SELECT code FROM lingqian.kinds WHERE kind_no = owner)
    WHEN class IN (20, 21) THEN
      (SELECT mchid FROM lingqian.merchants WHERE merchant_no = owner)
    WHEN class = 30 THEN owner::text END
$$;

CREATE VIEW lingqian_views.entries AS
SELECT e.seq, lingqian_views.iso(e.at) AS at, e.at AS at_ms,
  lingqian_views.business_day(e.at) AS day, e.cause, e.amount_micros,
  lingqian_views.account_name(e.debit_class) AS debit_account,
  lingqian_views.owner_name(e.debit_class, e.debit_owner) AS debit_owner,
  e.debit_class::bigint AS debit_class, e.debit_owner AS debit_owner_no,
  lingqian_views.account_name(e.credit_class) AS credit_account,
  lingqian_views.owner_name(e.credit_class, e.credit_owner) AS credit_owner,
  e.credit_class::bigint AS credit_class, e.credit_owner AS credit_owner_no,
  k.code AS kind, e.source, e.event_id, lingqian_views.iso(e.occurred_at) AS occurred_at,
  e.occurred_at AS occurred_at_ms, e.reverses, e.payout,
  lingqian_views.iso_day(e.matures_on) AS matures_on,
  (e.cause <> 'claw_back' AND e.source IS NOT NULL
    AND (k.user_day_micros_max IS NOT NULL OR k.user_day_count_max IS NOT NULL))::integer::bigint
    AS counted,
  CASE WHEN e.debit_class IN (1, 2, 3) THEN lingqian_views.owner_name(1::smallint, e.debit_owner)
    WHEN e.credit_class IN (1, 2, 3)
      THEN lingqian_views.owner_name(1::smallint, e.credit_owner) END AS user_id
FROM lingqian.entries e LEFT JOIN lingqian.kinds k ON e.source IS NOT NULL AND k.kind_no =
  CASE WHEN e.debit_class = 10 THEN e.debit_owner WHEN e.credit_class = 10 THEN e.credit_owner
    ELSE e.event_kind END;
COMMENT ON VIEW lingqian_views.entries IS 'every movement of money';

CREATE VIEW lingqian_views.balances AS
SELECT u.user_id, u.user_no, coalesce(a.available_micros, 0) AS available_micros,
  coalesce(a.held_micros, 0) AS held_micros, -coalesce(a.receivable_micros, 0) AS owed_micros,
  a.newest AS newest_seq
FROM lingqian.user_accounts a JOIN lingqian.users u USING (user_no) WHERE a.newest IS NOT NULL;
COMMENT ON VIEW lingqian_views.balances IS 'what each user has, is held and owes';

CREATE VIEW lingqian_views.accounts AS
SELECT lingqian_views.account_name(class) AS account,
  lingqian_views.owner_name(class, owner) AS owner, class::bigint AS class, owner AS owner_no,
  NULL::text AS user_id, balance_micros FROM lingqian.system_balances
UNION ALL SELECT 'available', user_id, 1, user_no, user_id, available_micros
  FROM lingqian_views.balances
UNION ALL SELECT 'held', user_id, 2, user_no, user_id, held_micros FROM lingqian_views.balances
UNION ALL SELECT 'receivable', user_id, 3, user_no, user_id, -owed_micros
  FROM lingqian_views.balances;
COMMENT ON VIEW lingqian_views.accounts IS
  'every account of the chart with its balance: credits minus debits';

CREATE VIEW lingqian_views.events AS
SELECT v.source, v.event_id, u.user_id, k.code AS kind, e.cause, v.amount_micros,
  lingqian_views.iso(v.recorded_at) AS at, v.recorded_at AS at_ms,
  lingqian_views.business_day(v.recorded_at) AS day,
  lingqian_views.iso(v.occurred_at) AS occurred_at, v.occurred_at AS occurred_at_ms, v.reverses,
  lingqian_views.iso_day(v.matures_on) AS matures_on, v.clawed_micros, v.entry_seq AS seq
FROM lingqian.earnings v JOIN lingqian.entries e ON e.seq = v.entry_seq
JOIN lingqian.users u USING (user_no) LEFT JOIN lingqian.kinds k USING (kind_no);
COMMENT ON VIEW lingqian_views.events IS
  'every event that was booked, once each, with the whole amount of a claw-back';

CREATE VIEW lingqian_views.users AS
SELECT user_id, user_no, lingqian_views.iso(created_at) AS created_at, frozen FROM lingqian.users;
COMMENT ON VIEW lingqian_views.users IS 'who is registered; names stay sealed';

CREATE VIEW lingqian_views.links AS
SELECT u.user_id, l.user_no, l.app, l.scope, lingqian_views.iso(l.linked_at) AS linked_at
FROM lingqian.links l JOIN lingqian.users u USING (user_no);
COMMENT ON VIEW lingqian_views.links IS
  'who is linked to WeChat, without saying whom WeChat knows there';

CREATE VIEW lingqian_views.payouts AS
SELECT p.payout, u.user_id, p.amount_fen, p.state, p.code, p.reference, p.asked,
  lingqian_views.iso(p.created_at) AS created_at, lingqian_views.iso(p.updated_at) AS updated_at,
  lingqian_views.iso(p.paid_at) AS paid_at, lingqian_views.iso_day(p.paid_on) AS paid_on,
  p.billed_fen, p.tries, p.approvals, a.number, a.bill_no, p.user_no, p.merchant_no
FROM lingqian.payouts p JOIN lingqian.users u USING (user_no) LEFT JOIN LATERAL (
  SELECT number, bill_no FROM lingqian.attempts WHERE payout = p.payout
  ORDER BY number DESC LIMIT 1) a ON true;
COMMENT ON VIEW lingqian_views.payouts IS
  'every payout with its state and the number of its last attempt';

CREATE VIEW lingqian_views.attempts AS
SELECT payout, number, mchid, app, amount_fen, scene, remark, sends, asks, doubt,
  lingqian_views.iso(first_sent_at) AS first_sent_at,
  lingqian_views.iso(last_sent_at) AS last_sent_at, bill_no FROM lingqian.attempts;
COMMENT ON VIEW lingqian_views.attempts IS 'the orders to WeChat, without the receiver';

CREATE VIEW lingqian_views.payout_history AS
SELECT line, payout, lingqian_views.iso(at) AS at, event, state, code, seen, status
FROM lingqian.payout_history;
COMMENT ON VIEW lingqian_views.payout_history IS
  'what became of each payout, without WeChat''s own words';

CREATE VIEW lingqian_views.payout_entries AS
SELECT payout, seq AS entry_seq FROM lingqian.entries WHERE payout IS NOT NULL;
COMMENT ON VIEW lingqian_views.payout_entries IS 'the entries of each payout';

CREATE VIEW lingqian_views.work AS
SELECT payout, queue, lingqian_views.iso(due_at) AS due_at,
  lingqian_views.iso(lease_until) AS lease_until FROM lingqian.work;
COMMENT ON VIEW lingqian_views.work IS 'what every unfinished payout waits for';

CREATE VIEW lingqian_views.stops AS
SELECT scope, cause, actor, reason, lingqian_views.iso(since) AS since,
  lingqian_views.iso(probe_at) AS probe_at, probes, lingqian_views.iso(lifted_at) AS lifted_at
FROM lingqian.stops;
COMMENT ON VIEW lingqian_views.stops IS 'what keeps payouts from leaving, and what was lifted';

CREATE VIEW lingqian_views.deeds AS
SELECT deed, lingqian_views.iso(at) AS at, actor, what, subject, reason, before, after
FROM lingqian.deeds;
COMMENT ON VIEW lingqian_views.deeds IS 'what was done by hand, by whom and why';

CREATE VIEW lingqian_views.merchant_days AS
SELECT merchant_no, lingqian_views.iso_day(day) AS day, amount_fen FROM lingqian.merchant_days;
COMMENT ON VIEW lingqian_views.merchant_days IS 'what merchants were told to pay on a day';

CREATE VIEW lingqian_views.bills AS
SELECT merchant_no, lingqian_views.iso_day(day) AS day, lines, out_fen, in_fen, opening_fen,
  closing_fen, sha1, lingqian_views.iso(fetched_at) AS fetched_at FROM lingqian.bills;
COMMENT ON VIEW lingqian_views.bills IS 'closed bills: opening, movements, closing';

CREATE VIEW lingqian_views.bill_lines AS
SELECT merchant_no, flow_no, lingqian_views.iso_day(day) AS day,
  lingqian_views.iso(booked_at) AS booked_at, business_no, voucher, direction, amount_fen,
  balance_fen, words, matched, payout, entry_seq FROM lingqian.bill_lines;
COMMENT ON VIEW lingqian_views.bill_lines IS
  'every line of every bill and what it was matched with';

CREATE VIEW lingqian_views.breaks AS
SELECT subject, kind, lingqian_views.iso_day(day) AS day, difference_fen,
  lingqian_views.iso(opened_at) AS opened_at, lingqian_views.iso(closed_at) AS closed_at
FROM lingqian.breaks;
COMMENT ON VIEW lingqian_views.breaks IS 'differences that somebody must explain';

CREATE VIEW lingqian_views.api_keys AS
SELECT id, scopes, lingqian_views.iso(created_at) AS created_at,
  lingqian_views.iso(revoked_at) AS revoked_at FROM lingqian.api_keys;
COMMENT ON VIEW lingqian_views.api_keys IS 'keys of the API, never what proves them';

CREATE VIEW lingqian_views.kinds AS SELECT * FROM lingqian.kinds;
COMMENT ON VIEW lingqian_views.kinds IS 'kinds of earnings with prices and limits';

CREATE VIEW lingqian_views.merchants AS SELECT * FROM lingqian.merchants;
COMMENT ON VIEW lingqian_views.merchants IS 'the merchants that pay';

CREATE VIEW lingqian_views.payout_days AS
SELECT user_no, lingqian_views.iso_day(day) AS day, count, amount_fen FROM lingqian.payout_days;
COMMENT ON VIEW lingqian_views.payout_days IS
  'how often and how much each user withdrew on a day';

CREATE VIEW lingqian_views.idempotency AS
SELECT scope, key, payout, amount_fen, lingqian_views.iso(created_at) AS created_at
FROM lingqian.idempotency;
COMMENT ON VIEW lingqian_views.idempotency IS 'requests for money that were answered';

CREATE VIEW lingqian_views.batches AS
SELECT batch_no, first_seq, entries, encode(hash, 'hex') AS hash FROM lingqian.batches;
COMMENT ON VIEW lingqian_views.batches IS 'the chain: every commit with its hash';
