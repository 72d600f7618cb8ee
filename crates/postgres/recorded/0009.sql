-- upsert_kind
PREPARE one AS INSERT INTO kinds (kind_no, code, price_micros, amount_max_micros, tax_class,
  user_day_micros_max, user_day_count_max, cooling_days, between_users)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (kind_no) DO UPDATE SET code = excluded.code, price_micros = excluded.price_micros,
  amount_max_micros = excluded.amount_max_micros, tax_class = excluded.tax_class,
  user_day_micros_max = excluded.user_day_micros_max,
  user_day_count_max = excluded.user_day_count_max, cooling_days = excluded.cooling_days,
  between_users = excluded.between_users;
EXECUTE one (1, 'ad_view', NULL, 1000000, 'incidental', 5000000, 100, 2, false);
DEALLOCATE one;

-- upsert_merchant
PREPARE one AS INSERT INTO merchants (merchant_no, mchid, app, scene, scene_report, remark, weight, day_quota_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (merchant_no) DO UPDATE SET mchid = excluded.mchid, app = excluded.app,
  scene = excluded.scene, scene_report = excluded.scene_report, remark = excluded.remark,
  weight = excluded.weight, day_quota_fen = excluded.day_quota_fen;
EXECUTE one (1, '1900000001', 'wx0000000000000001', '1000', '', 'small change', 1, NULL);
DEALLOCATE one;

-- upsert_api_key
PREPARE one AS INSERT INTO api_keys (id, digest, scopes, created_at, revoked_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(api_keys.revoked_at, excluded.revoked_at);
EXECUTE one ('k1', decode(repeat('11', 32), 'hex'), 'read', 1772424000000, NULL);
DEALLOCATE one;

-- upsert_users
PREPARE one AS INSERT INTO users (user_no, user_id, created_at, frozen, name)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::boolean[], $5::bytea[])
ON CONFLICT (user_no) DO UPDATE SET user_id = excluded.user_id, frozen = excluded.frozen,
  name = excluded.name;
EXECUTE one ('{1,2}', '{user-1,user-2}', '{1772424000000,1772424000000}', '{f,f}', '{NULL,NULL}');
DEALLOCATE one;

-- open_accounts
PREPARE one AS INSERT INTO user_accounts (user_no) SELECT * FROM unnest($1::bigint[])
ON CONFLICT (user_no) DO NOTHING;
EXECUTE one ('{1,2}');
DEALLOCATE one;

-- upsert_link_state
PREPARE one AS INSERT INTO link_states (digest, user_no, app, expires_at, used_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at;
EXECUTE one (decode(repeat('22', 32), 'hex'), 1, 'wx0000000000000001', 1772425000000, NULL);
DEALLOCATE one;

-- upsert_link
PREPARE one AS INSERT INTO app_links (user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (user_no, app) DO UPDATE SET openid = excluded.openid, unionid = excluded.unionid, scope = excluded.scope, tokens =
  excluded.tokens, linked_at = excluded.linked_at, standing = excluded.standing, reason =
  excluded.reason, changed_at = excluded.changed_at, cools_until = excluded.cools_until,
  sharing = excluded.sharing, refresh_at = excluded.refresh_at, refresh_tries =
  excluded.refresh_tries, version = excluded.version, lease_until = NULL;
EXECUTE one (1, 'wx0000000000000001', 'openid-1', NULL, 'snsapi_base', '\x01', 1772424000000, 'active', NULL, 1772424000000, NULL, 'alone', 1772424000000, 0, 1);
DEALLOCATE one;

-- claim_links
PREPARE one AS WITH due AS (
  SELECT user_no, app FROM app_links
  WHERE refresh_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)
  ORDER BY refresh_at, user_no, app LIMIT $2 FOR UPDATE SKIP LOCKED),
leased AS (
  UPDATE app_links l SET lease_until = $3 FROM due WHERE l.user_no = due.user_no AND l.app = due.app
  RETURNING l.*)
SELECT l.user_no, l.app, l.openid, l.unionid, l.scope, l.tokens, l.linked_at, l.standing, l.reason, l.changed_at,
  l.cools_until, l.sharing, l.refresh_at, l.refresh_tries, l.version, u.user_id
FROM leased l JOIN users u USING (user_no) ORDER BY l.refresh_at, l.user_no, l.app;
EXECUTE one (1772424000000, 9, 1772424000009);
DEALLOCATE one;

-- upsert_stop
PREPARE one AS INSERT INTO stops (scope, cause, actor, reason, since, probe_at, probes, lifted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (scope, cause) DO UPDATE SET actor = excluded.actor, reason = excluded.reason,
  since = excluded.since, probe_at = excluded.probe_at, probes = excluded.probes,
  lifted_at = excluded.lifted_at;
EXECUTE one ('all', 'person', 'ann', 'to look', 1772424000000, NULL, 0, 1772424000001);
DEALLOCATE one;

-- insert_deed
PREPARE one AS INSERT INTO deeds (at, actor, what, subject, reason, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7);
EXECUTE one (1772424000000, 'ann', 'stop', 'all', 'to look', '', 'stopped');
DEALLOCATE one;

-- upsert_merchant_day
PREPARE one AS INSERT INTO merchant_days (merchant_no, day, amount_fen) VALUES ($1, $2, $3)
ON CONFLICT (merchant_no, day) DO UPDATE SET amount_fen = excluded.amount_fen;
EXECUTE one (1, 20515, 100);
DEALLOCATE one;

-- ensure_room
PREPARE one AS SELECT ensure_room($1, $2);
EXECUTE one (2, 32000000);
DEALLOCATE one;

-- copy_entries
INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout,
  at, debit_prev, credit_prev, source, event_id, occurred_at, event_kind, event_micros, reverses,
  matures_on) VALUES (1, 10, 1, 1, 1, 2000000, 'earn', NULL, 1772424000000, NULL, NULL, 'app', 'e-1', NULL, NULL, NULL, NULL, 20517);
INSERT INTO entries (seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout,
  at, debit_prev, credit_prev, source, event_id, occurred_at, event_kind, event_micros, reverses,
  matures_on) VALUES (2, 1, 1, 2, 1, 1000000, 'hold', 'po_01HZZZZZZZZZZZZZZZZZZZZZZ1', 1772424000000, 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

-- insert_credited
PREPARE one AS INSERT INTO credited (event, seq) SELECT * FROM unnest($1::uuid[], $2::bigint[]);
EXECUTE one ('{00000000-0000-0000-0000-000000000001}', '{1}');
DEALLOCATE one;

-- take_back
PREPARE one AS INSERT INTO taken_back (seq, micros)
SELECT c.seq, n.micros FROM unnest($1::uuid[], $2::bigint[]) AS n (event, micros)
JOIN credited c ON c.event = n.event
ON CONFLICT (seq) DO UPDATE SET micros = excluded.micros;
EXECUTE one ('{00000000-0000-0000-0000-000000000001}', '{100}');
DEALLOCATE one;

-- move_accounts
PREPARE one AS UPDATE user_accounts a SET available_micros = n.available, held_micros = n.held,
  receivable_micros = n.receivable, newest = n.newest
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS n (user_no, available, held, receivable, newest)
WHERE a.user_no = n.user_no;
EXECUTE one ('{1}', '{2000000}', '{NULL}', '{NULL}', '{1}');
DEALLOCATE one;

-- move_placed_accounts
PREPARE one AS UPDATE user_accounts a SET available_micros = n.available, held_micros = n.held,
  receivable_micros = n.receivable, newest = n.newest
FROM unnest($1::tid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS n (place, user_no, available, held, receivable, newest)
WHERE a.ctid = n.place AND a.user_no = n.user_no;
EXECUTE one ('{"(0,3)"}', '{1}', '{1000000}', '{1000000}', '{NULL}', '{2}');
DEALLOCATE one;

-- insert_deltas
PREPARE one AS INSERT INTO system_deltas (batch_no, class, owner, delta_micros)
SELECT $1::bigint, n.class, n.owner, n.delta
FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS n (class, owner, delta);
EXECUTE one (1, '{10}', '{1}', '{-2000000}');
DEALLOCATE one;

-- upsert_kind_days
PREPARE one AS INSERT INTO kind_days (user_no, kind_no, day, count, amount_micros)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[])
ON CONFLICT (user_no, kind_no) DO UPDATE SET day = excluded.day, count = excluded.count,
  amount_micros = excluded.amount_micros;
EXECUTE one ('{1}', '{1}', '{20515}', '{1}', '{2000000}');
DEALLOCATE one;

-- upsert_cooling
PREPARE one AS INSERT INTO cooling (user_no, day, amount_micros)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
ON CONFLICT (user_no, day) DO UPDATE SET amount_micros = excluded.amount_micros;
EXECUTE one ('{1}', '{20517}', '{2000000}');
DEALLOCATE one;

-- insert_batch
PREPARE one AS INSERT INTO batches (batch_no, first_seq, entries, hash) VALUES ($1, $2, $3, $4);
EXECUTE one (1, 1, 2, decode(repeat('33', 32), 'hex'));
DEALLOCATE one;

-- move_head
PREPARE one AS UPDATE chain_head SET batch_no = $1, seq = $2, hash = $3, earned_count = earned_count + $4,
  earned_micros = earned_micros + $5::bigint,
  catalogue = CASE WHEN $6 THEN $1 ELSE catalogue END;
EXECUTE one (1, 2, decode(repeat('33', 32), 'hex'), 1, 2000000, true);
DEALLOCATE one;

-- upsert_payouts
PREPARE one AS INSERT INTO payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, tries, approvals)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
  $7::bigint[], $8::bigint[], $9::bigint[], $10::integer[], $11::bigint[], $12::text[],
  $13::text[], $14::text[], $15::bigint[], $16::integer[], $17::bigint[],
  $18::text[])
ON CONFLICT (payout) DO UPDATE SET user_no = excluded.user_no,
  merchant_no = excluded.merchant_no, amount_fen = excluded.amount_fen,
  reference = excluded.reference, asked = excluded.asked, created_at = excluded.created_at,
  updated_at = excluded.updated_at, version = excluded.version,
  counted_on = excluded.counted_on, billed_fen = excluded.billed_fen, state = excluded.state,
  code = excluded.code, package = excluded.package, paid_at = excluded.paid_at,
  paid_on = excluded.paid_on, tries = excluded.tries, approvals = excluded.approvals;
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{1}', '{1}', '{100}', '{order-1}', '{request}', '{1772424000000}', '{1772424000000}', '{1}', '{NULL}', '{0}', '{requested}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{0}', '{NULL}');
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{1}', '{1}', '{100}', '{order-1}', '{request}', '{1772424000000}', '{1772424000002}', '{2}', '{20515}', '{0}', '{sending}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{0}', '{NULL}');
DEALLOCATE one;

-- upsert_attempts
PREPARE one AS INSERT INTO attempts (payout, number, mchid, app, openid, amount_fen, scene, scene_report, remark,
  name, canonical, sends, asks, doubt, first_sent_at, last_sent_at, bill_no, seat)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
  $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[], $12::bigint[], $13::bigint[],
  $14::boolean[], $15::bigint[], $16::bigint[], $17::text[], $18::text[])
ON CONFLICT (number) DO UPDATE SET payout = excluded.payout, mchid = excluded.mchid,
  app = excluded.app, openid = excluded.openid, amount_fen = excluded.amount_fen,
  scene = excluded.scene, scene_report = excluded.scene_report, remark = excluded.remark,
  name = excluded.name, canonical = excluded.canonical, sends = excluded.sends,
  asks = excluded.asks, doubt = excluded.doubt, first_sent_at = excluded.first_sent_at,
  last_sent_at = excluded.last_sent_at, bill_no = excluded.bill_no,
  seat = excluded.seat;
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{LQ01HZZZZZZZZZZZZZZZZZZZZZZ101}', '{1900000001}', '{wx0000000000000001}', '{openid-1}', '{100}', '{1000}', '{""}', '{small change}', '{NULL}', '{canonical}', '{1}', '{0}', '{f}', '{1772424000002}', '{1772424000002}', '{NULL}', '{NULL}');
DEALLOCATE one;

-- upsert_work
PREPARE one AS INSERT INTO work (payout, queue, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (payout) DO UPDATE SET queue = excluded.queue, due_at = excluded.due_at,
  lease_until = NULL;
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{ask}', '{1772424000003}');
DEALLOCATE one;

-- claim
PREPARE one AS WITH due AS (
  SELECT payout, due_at FROM work
  WHERE queue = $1 AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
  ORDER BY due_at, payout LIMIT $3 FOR UPDATE SKIP LOCKED),
leased AS (
  UPDATE work SET lease_until = $4 FROM due WHERE work.payout = due.payout
  RETURNING work.payout, due.due_at)
SELECT payout FROM leased ORDER BY due_at, payout;
EXECUTE one ('ask', 1772424000003, 9, 1772424000009);
DEALLOCATE one;

-- insert_history
PREPARE one AS INSERT INTO payout_history (payout, at, event, state, code, seen, status, request_id, body)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::boolean[],
  $7::integer[], $8::text[], $9::bytea[]);
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{1772424000000}', '{held}', '{requested}', '{NULL}', '{f}', '{NULL}', '{NULL}', '{NULL}');
DEALLOCATE one;

-- upsert_day_totals
PREPARE one AS INSERT INTO payout_days (user_no, day, count, amount_fen)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])
ON CONFLICT (user_no, day) DO UPDATE SET count = excluded.count, amount_fen = excluded.amount_fen;
EXECUTE one ('{1}', '{20515}', '{1}', '{100}');
DEALLOCATE one;

-- insert_answers
PREPARE one AS INSERT INTO idempotency (scope, key, digest, payout, amount_fen, created_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[]);
EXECUTE one ('{/v1/withdrawals}', '{key-1}', ARRAY[decode(repeat('44', 32), 'hex')], '{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{100}', '{1772424000000}');
DEALLOCATE one;

-- insert_bill_lines
PREPARE one AS INSERT INTO bill_lines (merchant_no, flow_no, day, booked_at, business_no, voucher, direction,
  amount_fen, balance_fen, words, matched, payout, entry_seq)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::bigint[], $5::text[],
  $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[],
  $13::bigint[]);
EXECUTE one ('{1}', '{flow-1}', '{20515}', '{1772424000000}', '{business}', '{voucher}', '{out}', '{100}', '{900}', '{words}', '{payout}', '{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{2}');
DEALLOCATE one;

-- upsert_bill
PREPARE one AS INSERT INTO bills (merchant_no, day, sha1, lines, out_fen, in_fen, opening_fen, closing_fen,
  fetched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (merchant_no, day) DO UPDATE SET sha1 = excluded.sha1, lines = excluded.lines,
  out_fen = excluded.out_fen, in_fen = excluded.in_fen, opening_fen = excluded.opening_fen,
  closing_fen = excluded.closing_fen, fetched_at = excluded.fetched_at;
EXECUTE one (1, 20515, 'sha', 1, 100, 0, 1000, 900, 1772424000000);
DEALLOCATE one;

-- upsert_breaks
PREPARE one AS INSERT INTO breaks (subject, kind, day, difference_fen, opened_at, closed_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[],
  $6::bigint[])
ON CONFLICT (subject) DO UPDATE SET kind = excluded.kind, day = excluded.day,
  difference_fen = excluded.difference_fen, opened_at = excluded.opened_at,
  closed_at = excluded.closed_at;
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{missing_on_bill}', '{20515}', '{100}', '{1772424000000}', '{1772424000001}');
DEALLOCATE one;

-- keep_dead_letters
PREPARE one AS INSERT INTO dead_letters (code, digest, raw, door, position, at, times)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::bigint[],
  $7::bigint[])
ON CONFLICT (code, digest) DO UPDATE SET door = excluded.door, position = excluded.position,
  at = excluded.at, times = dead_letters.times + excluded.times, turn = excluded.turn;
EXECUTE one ('{malformed}', ARRAY[decode(repeat('55', 32), 'hex')], '{"\\x7b7d"}', '{http}', '{1}', '{1772424000000}', '{1}');
DEALLOCATE one;

-- end_letter
PREPARE one AS INSERT INTO letter_ends (letter, fate, times, at, event) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (letter) DO UPDATE SET fate = excluded.fate, times = excluded.times,
  at = excluded.at, event = excluded.event
WHERE letter_ends.times < excluded.times
  OR (letter_ends.fate, letter_ends.times, letter_ends.at, letter_ends.event)
    = (excluded.fate, excluded.times, excluded.at, excluded.event);
EXECUTE one ('malformed-55555555555555555555555555555555', 'discarded', 1, 1772424000001, '');
DEALLOCATE one;

-- keep_mark
PREPARE one AS INSERT INTO marks (name, position) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET position = excluded.position;
EXECUTE one ('kafka/app/earnings/0', 7);
DEALLOCATE one;

-- fold
PREPARE one AS WITH gone AS (DELETE FROM system_deltas RETURNING class, owner, delta_micros),
sums AS (SELECT class, owner, sum(delta_micros)::bigint AS delta FROM gone GROUP BY class, owner)
INSERT INTO system_accounts (class, owner, balance_micros)
SELECT class, owner, delta FROM sums ORDER BY class, owner
ON CONFLICT (class, owner) DO UPDATE
SET balance_micros = system_accounts.balance_micros + excluded.balance_micros;
EXECUTE one;
DEALLOCATE one;

-- delete_work
PREPARE one AS DELETE FROM work WHERE payout = ANY ($1::text[]);
EXECUTE one ('{po_01HZZZZZZZZZZZZZZZZZZZZZZ2}');
DEALLOCATE one;

-- upsert_endpoint
PREPARE one AS INSERT INTO endpoints (endpoint, url, events, note, created_at, off_since, off_why, deleted,
  planned_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
  coalesce($9, (SELECT coalesce(max(number), 0) FROM notices)))
ON CONFLICT (endpoint) DO UPDATE SET url = excluded.url, events = excluded.events,
  note = excluded.note, created_at = excluded.created_at, off_since = excluded.off_since,
  off_why = excluded.off_why, deleted = excluded.deleted,
  planned_to = coalesce($9, endpoints.planned_to),
  failures = CASE WHEN excluded.off_since IS NULL THEN 0 ELSE endpoints.failures END,
  paused_until = CASE WHEN excluded.off_since IS NULL THEN NULL ELSE endpoints.paused_until END;
EXECUTE one ('ep_1', 'https://app.example/hook', '', 'the app', 1772424000000, NULL, NULL, false, 0);
DEALLOCATE one;

-- insert_endpoint_secret
PREPARE one AS INSERT INTO endpoint_secrets (endpoint, place, scheme, sealed, until) VALUES ($1, $2, $3, $4, $5);
EXECUTE one ('ep_1', 0, 'v1', '\x01', NULL);
DEALLOCATE one;

-- insert_notices
PREPARE one AS -- The caller holds the end of the chain, so that nobody else numbers notices meanwhile.
INSERT INTO notices (number, at, event, subject, user_id, version, data)
SELECT (SELECT coalesce(max(number), 0) FROM notices) + place, at, event, subject, user_id,
  version, data
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
  WITH ORDINALITY AS told (at, event, subject, user_id, version, data, place);
EXECUTE one ('{1772424000000}', '{payout.paid}', '{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', '{user-1}', '{1}', '{"{}"}');
DEALLOCATE one;

-- read_inbox
PREPARE one AS INSERT INTO message_reads AS m (user_id, read_to) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET read_to = greatest(m.read_to, excluded.read_to);
EXECUTE one ('user-1', 1);
DEALLOCATE one;

-- take_alerts
PREPARE one AS UPDATE alert_watch SET holder = $1, until = $3
WHERE one = 1 AND (until <= $2 OR until > $4);
EXECUTE one ('a', 1772424000000, 1772424060000, 1772424120000);
DEALLOCATE one;

-- hold_alerts
PREPARE one AS UPDATE alert_watch SET holder = holder WHERE one = 1 AND holder = $1;
EXECUTE one ('a');
DEALLOCATE one;

-- upsert_alert
PREPARE one AS INSERT INTO alerts (kind, subject, since, noticed_at, ended_at, words)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (kind, subject) DO UPDATE SET since = excluded.since, noticed_at = excluded.noticed_at,
  ended_at = excluded.ended_at, words = excluded.words;
EXECUTE one ('float_empty', 'merchant:1900000001', 1772424000000, 1772424000000, NULL, 'words');
DEALLOCATE one;

-- upsert_alert_tell
PREPARE one AS INSERT INTO alert_tells (kind, subject, target, told_at, times)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, subject, target) DO UPDATE SET told_at = excluded.told_at, times = excluded.times;
EXECUTE one ('float_empty', 'merchant:1900000001', 'ops', 1772424000001, 1);
DEALLOCATE one;

-- upsert_alert_target
PREPARE one AS INSERT INTO alert_targets (target, next_at, failures, told_at, failed_at, failed_with)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (target) DO UPDATE SET next_at = excluded.next_at, failures = excluded.failures,
  told_at = excluded.told_at, failed_at = excluded.failed_at, failed_with = excluded.failed_with;
EXECUTE one ('ops', NULL, 0, 1772424000001, NULL, NULL);
DEALLOCATE one;

-- delete_alert_tell
PREPARE one AS DELETE FROM alert_tells WHERE kind = $1 AND subject = $2 AND target = $3;
EXECUTE one ('float_empty', 'merchant:1900000001', 'ops');
DEALLOCATE one;

-- delete_alert_tells
PREPARE one AS DELETE FROM alert_tells WHERE kind = $1 AND subject = $2;
EXECUTE one ('float_empty', 'merchant:1900000001');
DEALLOCATE one;

-- delete_alert
PREPARE one AS DELETE FROM alerts WHERE kind = $1 AND subject = $2;
EXECUTE one ('float_empty', 'merchant:1900000001');
DEALLOCATE one;

-- give_back_alerts
PREPARE one AS UPDATE alert_watch SET holder = '', until = 0 WHERE one = 1 AND holder = $1;
EXECUTE one ('a');
DEALLOCATE one;

-- plan_deliveries
PREPARE one AS INSERT INTO deliveries (endpoint, number, lane, due_at)
SELECT $1, number, lane, $4 FROM unnest($2::bigint[], $3::text[]) AS told (number, lane)
ON CONFLICT (endpoint, number) DO NOTHING;
EXECUTE one ('ep_1', '{1}', '{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', 1772424000001);
DEALLOCATE one;

-- claim_deliveries
PREPARE one AS WITH due AS (
  SELECT d.endpoint, d.number FROM deliveries AS d
  JOIN endpoints AS e ON e.endpoint = d.endpoint AND NOT e.deleted AND e.off_since IS NULL
    AND (e.paused_until IS NULL OR e.paused_until <= $1)
  WHERE d.due_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1)
    AND NOT EXISTS (SELECT 1 FROM deliveries AS earlier
      WHERE earlier.endpoint = d.endpoint AND earlier.lane = d.lane
        AND earlier.number < d.number AND earlier.due_at IS NOT NULL)
  ORDER BY d.due_at, d.number, d.endpoint LIMIT $2
  FOR UPDATE OF d SKIP LOCKED
), leased AS (
  UPDATE deliveries AS d SET lease_until = $3 FROM due
  WHERE d.endpoint = due.endpoint AND d.number = due.number
  RETURNING d.endpoint, d.number, d.tries, d.first_at, d.due_at
)
SELECT n.number, n.at, n.event, n.subject, n.user_id, n.version, n.data, l.endpoint, l.tries,
  l.first_at
FROM leased AS l JOIN notices AS n ON n.number = l.number
ORDER BY l.due_at, n.number, l.endpoint;
EXECUTE one (1772424000002, 9, 1772424000009);
DEALLOCATE one;

-- not_delivered
PREPARE one AS UPDATE deliveries SET due_at = $3, lease_until = NULL, tries = tries + 1,
  first_at = coalesce(first_at, $4), code = $5
WHERE endpoint = $1 AND number = $2;
EXECUTE one ('ep_1', 1, 1772424000012, 1772424000003, 'timeout');
DEALLOCATE one;

-- replay_deliveries
PREPARE one AS INSERT INTO deliveries (endpoint, number, lane, due_at)
SELECT $1, number, lane, $4 FROM unnest($2::bigint[], $3::text[]) AS told (number, lane)
ON CONFLICT (endpoint, number) DO UPDATE SET due_at = excluded.due_at, lease_until = NULL,
  tries = 0, first_at = NULL, code = NULL;
EXECUTE one ('ep_1', '{1}', '{po_01HZZZZZZZZZZZZZZZZZZZZZZ1}', 1772424000013);
DEALLOCATE one;

-- endpoint_failed
PREPARE one AS UPDATE endpoints SET failures = failures + 1, failed_at = $2, failed_with = $3,
  paused_until = coalesce($4, paused_until),
  off_why = CASE WHEN $5 AND off_since IS NULL THEN $3 ELSE off_why END,
  off_since = CASE WHEN $5 THEN coalesce(off_since, $2) ELSE off_since END
WHERE endpoint = $1;
EXECUTE one ('ep_1', 1772424000014, '500', NULL, false);
DEALLOCATE one;

-- endpoint_did_well
PREPARE one AS UPDATE endpoints SET failures = 0, paused_until = NULL, delivered_at = $2 WHERE endpoint = $1;
EXECUTE one ('ep_1', 1772424000015);
DEALLOCATE one;

-- planned_to
PREPARE one AS UPDATE endpoints SET planned_to = $2 WHERE endpoint = $1;
EXECUTE one ('ep_1', 1);
DEALLOCATE one;

-- delivered
PREPARE one AS DELETE FROM deliveries WHERE endpoint = $1 AND number = $2;
EXECUTE one ('ep_1', 1);
DEALLOCATE one;

-- delete_deliveries
PREPARE one AS DELETE FROM deliveries WHERE endpoint = $1;
EXECUTE one ('ep_1');
DEALLOCATE one;

-- delete_endpoint_secrets
PREPARE one AS DELETE FROM endpoint_secrets WHERE endpoint = $1;
EXECUTE one ('ep_1');
DEALLOCATE one;

-- lease_sink
PREPARE one AS INSERT INTO sink_leases AS s (sink, holder, lease_until) VALUES ($1, $2, $3)
ON CONFLICT (sink) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE s.holder = excluded.holder OR s.lease_until <= $4;
EXECUTE one ('app', 'one', 1772424000009, 1772424000000);
DEALLOCATE one;

-- accounts
PREPARE one AS SELECT user_no, available_micros, held_micros, receivable_micros, newest FROM user_accounts
WHERE user_no = ANY ($1::bigint[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- alert_targets
PREPARE one AS SELECT target, next_at, failures, told_at, failed_at, failed_with FROM alert_targets ORDER BY target;
EXECUTE one;
DEALLOCATE one;

-- alert_tells
PREPARE one AS SELECT kind, subject, target, told_at, times FROM alert_tells ORDER BY kind, subject, target;
EXECUTE one;
DEALLOCATE one;

-- alerts
PREPARE one AS SELECT kind, subject, since, noticed_at, ended_at, words FROM alerts ORDER BY kind, subject;
EXECUTE one;
DEALLOCATE one;

-- all_accounts
PREPARE one AS SELECT user_no, available_micros, held_micros, receivable_micros, newest FROM user_accounts
ORDER BY user_no;
EXECUTE one;
DEALLOCATE one;

-- all_bill_days
PREPARE one AS SELECT merchant_no, day, sum(CASE direction WHEN 'out' THEN amount_fen ELSE -amount_fen END)::text
FROM bill_lines GROUP BY merchant_no, day ORDER BY merchant_no, day;
EXECUTE one;
DEALLOCATE one;

-- all_credited
PREPARE one AS SELECT event, seq FROM credited;
EXECUTE one;
DEALLOCATE one;

-- all_days
PREPARE one AS SELECT user_no, day, count, amount_fen FROM payout_days WHERE count > 0 OR amount_fen > 0
ORDER BY user_no, day;
EXECUTE one;
DEALLOCATE one;

-- all_payouts
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals,
  (SELECT count(*) FROM work w WHERE w.payout = p.payout)
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
ORDER BY p.payout;
EXECUTE one;
DEALLOCATE one;

-- all_taken_back
PREPARE one AS SELECT e.source, e.event_id, e.amount_micros, t.micros
FROM taken_back t LEFT JOIN earnings e ON e.entry_seq = t.seq ORDER BY t.seq;
EXECUTE one;
DEALLOCATE one;

-- answers
PREPARE one AS SELECT i.scope, i.key, i.digest, i.payout, i.amount_fen, i.created_at
FROM unnest($1::text[], $2::text[]) AS wanted (scope, key) JOIN idempotency i USING (scope, key);
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- answers_after
PREPARE one AS SELECT scope, key, digest, payout, amount_fen, created_at FROM idempotency
WHERE (scope, key) > ($1, $2) ORDER BY scope, key LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- api_keys
PREPARE one AS SELECT id, digest, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at, id;
EXECUTE one;
DEALLOCATE one;

-- attempts_of
PREPARE one AS SELECT number, mchid, app, openid, amount_fen, scene, scene_report, remark, name,
  sends, asks, doubt, first_sent_at, last_sent_at, bill_no, seat
FROM attempts WHERE number BETWEEN $1 AND $2 ORDER BY number;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- batch_is_there
PREPARE one AS SELECT 1 FROM batches WHERE batch_no = $1 AND hash = $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- bill_lines_between
PREPARE one AS SELECT entry_seq, merchant_no, flow_no, day, booked_at, business_no, voucher, direction,
  amount_fen, balance_fen, words, matched, payout
FROM bill_lines WHERE entry_seq BETWEEN $1 AND $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- bill_lines_known
PREPARE one AS SELECT m.mchid, b.flow_no
FROM unnest($1::text[], $2::text[]) AS wanted (mchid, flow_no)
JOIN merchants m USING (mchid) JOIN bill_lines b USING (merchant_no, flow_no);
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- bills
PREPARE one AS SELECT merchant_no, day, sha1, lines, out_fen, in_fen, opening_fen, closing_fen, fetched_at
FROM bills ORDER BY day, merchant_no;
EXECUTE one;
DEALLOCATE one;

-- break_of
PREPARE one AS SELECT subject, kind, day, difference_fen, opened_at, closed_at FROM breaks WHERE subject = $1;
EXECUTE one (NULL);
DEALLOCATE one;

-- breaks
PREPARE one AS SELECT subject, kind, day, difference_fen, opened_at, closed_at FROM breaks ORDER BY day, subject;
EXECUTE one;
DEALLOCATE one;

-- catalogue
PREPARE one AS SELECT catalogue FROM chain_head;
EXECUTE one;
DEALLOCATE one;

-- catalogue
PREPARE one AS SELECT catalogue, batch_no FROM chain_head;
EXECUTE one;
DEALLOCATE one;

-- closed_bills
PREPARE one AS SELECT merchant_no, day FROM bills;
EXECUTE one;
DEALLOCATE one;

-- cooling
PREPARE one AS SELECT user_no, day, amount_micros FROM cooling
WHERE user_no = ANY ($1::bigint[]) AND day > $2 AND amount_micros > 0;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- cooling_of
PREPARE one AS SELECT user_no, day, amount_micros FROM cooling
WHERE user_no = ANY ($1::bigint[]) AND amount_micros > 0 ORDER BY user_no, day;
EXECUTE one (NULL);
DEALLOCATE one;

-- credited_at
PREPARE one AS SELECT seq FROM credited WHERE event = $1;
EXECUTE one (NULL);
DEALLOCATE one;

-- days
PREPARE one AS SELECT d.user_no, d.day, d.count, d.amount_fen
FROM unnest($1::bigint[], $2::integer[]) AS wanted (user_no, day)
JOIN payout_days d USING (user_no, day);
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- days_after
PREPARE one AS SELECT user_no, day, count, amount_fen FROM payout_days
WHERE (user_no, day) > ($1, $2) ORDER BY user_no, day LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- dead_letters
PREPARE one AS SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at DESC, turn DESC LIMIT $1;
EXECUTE one (NULL);
DEALLOCATE one;

-- deeds
PREPARE one AS SELECT deed, at, actor, what, subject, reason, before, after FROM deeds
WHERE ($1::text IS NULL OR subject = $1) ORDER BY deed DESC LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- deeds_after
PREPARE one AS SELECT deed, at, actor, what, subject, reason, before, after FROM deeds
WHERE deed > $1 ORDER BY deed LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- deliveries_of
PREPARE one AS SELECT number, tries, first_at, due_at, code FROM deliveries
WHERE endpoint = $1 AND number > $2 ORDER BY number LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- endpoint_secrets
PREPARE one AS SELECT scheme, sealed, until FROM endpoint_secrets WHERE endpoint = $1 ORDER BY place;
EXECUTE one (NULL);
DEALLOCATE one;

-- endpoints
PREPARE one AS SELECT endpoint, url, events, note, created_at, off_since, off_why, deleted, planned_to, failures,
  paused_until, delivered_at, failed_at, failed_with,
  (SELECT count(*) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NOT NULL),
  (SELECT count(*) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NULL),
  (SELECT min(number) FROM deliveries AS d WHERE d.endpoint = e.endpoint AND due_at IS NOT NULL)
FROM endpoints AS e WHERE $1 OR NOT deleted ORDER BY endpoint;
EXECUTE one (NULL);
DEALLOCATE one;

-- endpoints_behind
PREPARE one AS -- Only one process at a time goes on for an endpoint; others leave it to that one.
SELECT endpoint, planned_to FROM endpoints
WHERE NOT deleted AND off_since IS NULL
  AND planned_to < (SELECT coalesce(max(number), 0) FROM notices)
ORDER BY endpoint FOR UPDATE SKIP LOCKED;
EXECUTE one;
DEALLOCATE one;

-- events
PREPARE one AS SELECT n.event, e.source, e.event_id, e.user_no, e.kind_no, e.amount_micros, e.occurred_at,
  e.recorded_at, e.from_user, e.reverses, e.matures_on, e.clawed_micros,
  -- What paid a debt is the entry that follows; it matters only where the rest cools off.
  coalesce(r.amount_micros, 0)
FROM unnest($1::uuid[]) AS n (event) JOIN credited c ON c.event = n.event
JOIN earnings e ON e.entry_seq = c.seq
LEFT JOIN entries r ON e.matures_on IS NOT NULL AND r.seq = e.entry_seq + 1 AND r.cause = 'repay';
EXECUTE one (NULL);
DEALLOCATE one;

-- export_entries
PREPARE one AS SELECT seq, at, at_ms, day, cause, amount_micros, debit_account, debit_owner, debit_class,
  debit_owner_no, credit_account, credit_owner, credit_class, credit_owner_no, kind, source,
  event_id, occurred_at, occurred_at_ms, NULL::bigint, payout, matures_on, counted
FROM lingqian_views.entries WHERE seq > $1 AND seq <= $2 ORDER BY seq;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- head
PREPARE one AS SELECT batch_no, seq FROM chain_head;
EXECUTE one;
DEALLOCATE one;

-- history
PREPARE one AS SELECT at, event, state, code, seen, status, request_id, body
FROM payout_history WHERE payout = $1 ORDER BY line;
EXECUTE one (NULL);
DEALLOCATE one;

-- history_of
PREPARE one AS SELECT at, event, state, code, seen, status, request_id, body, payout
FROM payout_history WHERE payout = ANY ($1::text[]) ORDER BY payout, line;
EXECUTE one (NULL);
DEALLOCATE one;

-- holders
PREPARE one AS SELECT DISTINCT p.person, l.user_no FROM unnest($1::text[]) AS p (person)
JOIN app_links l ON l.openid = p.person OR l.unionid = p.person
WHERE l.standing <> 'revoked';
EXECUTE one (NULL);
DEALLOCATE one;

-- inbox
PREPARE one AS SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE user_id = $1 AND number < $2 AND strpos($3, ' ' || event || ' ') > 0
ORDER BY number DESC LIMIT $4;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- inbox_read_to
PREPARE one AS SELECT read_to FROM message_reads WHERE user_id = $1;
EXECUTE one (NULL);
DEALLOCATE one;

-- inbox_unread
PREPARE one AS SELECT count(*) FROM (SELECT 1 FROM notices
  WHERE user_id = $1 AND number > $2 AND strpos($3, ' ' || event || ' ') > 0 LIMIT $4) AS unread;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- kind_days
PREPARE one AS SELECT user_no, kind_no, day, count, amount_micros FROM kind_days
WHERE user_no = ANY ($1::bigint[]) AND day >= $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- kind_days_of
PREPARE one AS SELECT user_no, kind_no, day, count, amount_micros FROM kind_days
WHERE user_no = ANY ($1::bigint[]) ORDER BY user_no, kind_no;
EXECUTE one (NULL);
DEALLOCATE one;

-- kinds
PREPARE one AS SELECT kind_no, code, price_micros, amount_max_micros, tax_class, user_day_micros_max,
  user_day_count_max, cooling_days, between_users
FROM kinds ORDER BY kind_no;
EXECUTE one;
DEALLOCATE one;

-- last_lifted
PREPARE one AS SELECT max(lifted_at) FROM stops;
EXECUTE one;
DEALLOCATE one;

-- letter
PREPARE one AS SELECT d.door, d.position, d.code, d.raw, d.at, d.times, e.letter, e.fate, e.times, e.at, e.event
FROM dead_letters d LEFT JOIN letter_ends e
  ON e.letter = d.code || '-' || encode(substr(d.digest, 1, 16), 'hex')
WHERE d.code = $1 AND d.digest >= decode($2, 'hex')
  AND d.digest <= decode($2, 'hex') || decode(repeat('ff', 16), 'hex');
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- letter_ends
PREPARE one AS SELECT letter, fate, times, at, event FROM letter_ends ORDER BY letter;
EXECUTE one;
DEALLOCATE one;

-- letters
PREPARE one AS SELECT d.door, d.position, d.code, ''::bytea, d.at, d.times, e.letter, e.fate, e.times, e.at, e.event,
  d.digest, length(d.raw)::bigint
FROM dead_letters d LEFT JOIN letter_ends e
  ON e.letter = d.code || '-' || encode(substr(d.digest, 1, 16), 'hex')
WHERE $2::boolean OR e.letter IS NULL OR e.times < d.times
ORDER BY d.at DESC, d.turn DESC LIMIT $1;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- letters_after
PREPARE one AS SELECT door, position, code, raw, at, times FROM dead_letters ORDER BY at, turn OFFSET $1 LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- link_states
PREPARE one AS SELECT digest, user_no, app, expires_at, used_at FROM link_states WHERE digest = ANY ($1::bytea[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- link_states_after
PREPARE one AS SELECT digest, user_no, app, expires_at, used_at FROM link_states
WHERE digest > $1 ORDER BY digest LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- links
PREPARE one AS SELECT user_no, app, openid, unionid, scope, tokens, linked_at, standing, reason, changed_at,
  cools_until, sharing, refresh_at, refresh_tries, version
FROM app_links WHERE user_no = ANY ($1::bigint[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- lock_end
PREPARE one AS SELECT batch_no, seq, hash, (SELECT coalesce(max(end_seq), 0) FROM rooms), catalogue,
  (SELECT coalesce(max(number), 0) FROM migrations), (SELECT coalesce(max(needs), 0) FROM migrations)
FROM chain_head FOR UPDATE OF chain_head;
EXECUTE one;
DEALLOCATE one;

-- lock_fold
PREPARE one AS SELECT pg_try_advisory_xact_lock(hashtextextended('lingqian fold', 0));
EXECUTE one;
DEALLOCATE one;

-- lock_notes
PREPARE one AS SELECT pg_advisory_xact_lock(hashtextextended('lingqian notes', 0)),
  (SELECT coalesce(max(number), 0) FROM migrations), (SELECT coalesce(max(needs), 0) FROM migrations);
EXECUTE one;
DEALLOCATE one;

-- marks
PREPARE one AS SELECT name, position FROM marks WHERE starts_with(name, $1) ORDER BY name;
EXECUTE one (NULL);
DEALLOCATE one;

-- merchant_days
PREPARE one AS SELECT merchant_no, day, amount_fen FROM merchant_days WHERE day >= $1 ORDER BY merchant_no, day;
EXECUTE one (NULL);
DEALLOCATE one;

-- merchants
PREPARE one AS SELECT merchant_no, mchid, app, scene, scene_report, remark, weight, day_quota_fen FROM merchants
ORDER BY merchant_no;
EXECUTE one;
DEALLOCATE one;

-- needs
PREPARE one AS SELECT coalesce(max(number), 0), coalesce(max(needs), 0) FROM migrations;
EXECUTE one;
DEALLOCATE one;

-- newest_notice
PREPARE one AS SELECT coalesce(max(number), 0) FROM notices;
EXECUTE one;
DEALLOCATE one;

-- next_user
PREPARE one AS SELECT coalesce(max(user_no), 0) + 1 FROM users;
EXECUTE one;
DEALLOCATE one;

-- notices_after
PREPARE one AS SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE number > $1 ORDER BY number LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- notices_of_user
PREPARE one AS SELECT number, at, event, subject, user_id, version, data FROM notices
WHERE user_id = $1 AND number > $2 ORDER BY number LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- numbers
PREPARE one AS SELECT n.name, u.user_no FROM unnest($1::text[]) AS n (name) JOIN users u ON u.user_id = n.name;
EXECUTE one (NULL);
DEALLOCATE one;

-- open_breaks
PREPARE one AS SELECT subject, kind, day, difference_fen, opened_at, closed_at FROM breaks
WHERE subject = ANY ($1::text[]) AND closed_at IS NULL;
EXECUTE one (NULL);
DEALLOCATE one;

-- paid_on
PREPARE one AS SELECT payout FROM payouts
WHERE paid_on = $1 AND merchant_no = $2 AND ($3::text IS NULL OR payout > $3)
ORDER BY payout LIMIT $4;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- payout_entries
PREPARE one AS SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at
FROM entries WHERE payout = $1 ORDER BY seq;
EXECUTE one (NULL);
DEALLOCATE one;

-- payouts
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE ($1::text IS NULL OR p.state = $1) AND ($2::text IS NULL OR u.user_id = $2)
  AND ($3::text IS NULL OR p.payout < $3)
ORDER BY p.payout DESC LIMIT $4;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- payouts_after
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE p.payout > $1 ORDER BY p.payout LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- payouts_by_name
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE p.payout = ANY ($1::text[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- payouts_of_state
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE p.state = $1::text AND ($2::text IS NULL OR u.user_id = $2)
  AND ($3::text IS NULL OR p.payout < $3)
ORDER BY p.payout DESC LIMIT $4;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- payouts_of_user
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals
FROM payouts p JOIN users u USING (user_no) LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE ($1::text IS NULL OR p.state = $1)
  AND p.user_no = (SELECT user_no FROM users WHERE user_id = $2::text)
  AND ($3::text IS NULL OR p.payout < $3)
ORDER BY p.payout DESC LIMIT $4;
EXECUTE one (NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- placed_accounts
PREPARE one AS SELECT a.user_no, a.available_micros, a.held_micros, a.receivable_micros, a.newest, a.ctid
FROM unnest($1::bigint[]) AS n (user_no) JOIN user_accounts a ON a.user_no = n.user_no;
EXECUTE one (NULL);
DEALLOCATE one;

-- references_used
PREPARE one AS SELECT reference FROM payouts WHERE reference = ANY ($1::text[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- relation_columns
PREPARE one AS SELECT attname::text || ' ' || format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('lingqian_views.' || quote_ident($1)) AND attnum > 0 ORDER BY attnum;
EXECUTE one (NULL);
DEALLOCATE one;

-- relations
PREPARE one AS SELECT relname::text, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_catalog.pg_class
WHERE relnamespace = to_regnamespace('lingqian_views') AND relkind = 'v' ORDER BY oid;
EXECUTE one;
DEALLOCATE one;

-- seated
PREPARE one AS SELECT payout FROM attempts WHERE seat > $1 AND seat < $2 ORDER BY seat;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- some_batches
PREPARE one AS SELECT batch_no, first_seq, entries, hash FROM batches WHERE batch_no > $1
ORDER BY batch_no LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- some_entries
PREPARE one AS SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros, cause, payout, at,
  debit_prev, credit_prev, source, event_id, occurred_at, event_kind, event_micros, reverses,
  matures_on
FROM entries WHERE seq > $1 AND seq <= $2 ORDER BY seq;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- some_links
PREPARE one AS SELECT l.user_no, l.app, l.openid, l.unionid, l.scope, l.tokens, l.linked_at, l.standing, l.reason, l.changed_at,
  l.cools_until, l.sharing, l.refresh_at, l.refresh_tries, l.version, u.user_id
FROM app_links l JOIN users u USING (user_no)
WHERE (l.user_no, l.app) > ($1, $2) AND ($3::text IS NULL OR l.standing = $3)
  AND ($4::text IS NULL OR l.app = $4)
  AND (NOT $5 OR (l.sharing = 'flagged' AND l.standing <> 'revoked'))
ORDER BY l.user_no, l.app LIMIT $6;
EXECUTE one (NULL, NULL, NULL, NULL, NULL, NULL);
DEALLOCATE one;

-- state_totals
PREPARE one AS SELECT state, payouts, amount_fen FROM state_totals ORDER BY state;
EXECUTE one;
DEALLOCATE one;

-- statement
PREPARE one AS WITH RECURSIVE own AS (
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
ORDER BY e.seq DESC LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- stops
PREPARE one AS SELECT scope, cause, actor, reason, since, probe_at, probes, lifted_at FROM stops
WHERE lifted_at IS NULL OR $1 ORDER BY scope, cause;
EXECUTE one (NULL);
DEALLOCATE one;

-- summary_counts
PREPARE one AS SELECT (SELECT count(*) FROM users),
  (SELECT count(DISTINCT user_no) FROM app_links WHERE standing <> 'revoked'), h.earned_count,
  h.earned_micros::text, (SELECT count(*) FROM dead_letters),
  (SELECT count(*) FROM breaks WHERE closed_at IS NULL), coalesce(a.available, 0)::text,
  coalesce(a.held, 0)::text, coalesce(-a.receivable, 0)::text
FROM chain_head h, (
  SELECT sum(available_micros) AS available, sum(held_micros) AS held,
    sum(receivable_micros) AS receivable FROM user_accounts) AS a;
EXECUTE one;
DEALLOCATE one;

-- summary_payouts
PREPARE one AS SELECT state, payouts, amount_fen FROM state_totals WHERE payouts > 0 ORDER BY state;
EXECUTE one;
DEALLOCATE one;

-- summary_waiting
PREPARE one AS SELECT queue, count(*) FROM work GROUP BY queue ORDER BY queue;
EXECUTE one;
DEALLOCATE one;

-- sweepable
PREPARE one AS SELECT u.user_no, u.user_id FROM user_accounts a JOIN users u USING (user_no)
WHERE a.user_no > $2 AND coalesce(a.available_micros, 0) >= $1 ORDER BY a.user_no LIMIT $3;
EXECUTE one (NULL, NULL, NULL);
DEALLOCATE one;

-- system_accounts
PREPARE one AS SELECT class, owner, balance_micros FROM system_balances ORDER BY class, owner;
EXECUTE one;
DEALLOCATE one;

-- taken_back_after
PREPARE one AS SELECT t.seq, e.source, e.event_id, t.micros
FROM taken_back t LEFT JOIN entries e ON e.seq = t.seq
WHERE t.seq > $1 ORDER BY t.seq LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- user
PREPARE one AS SELECT user_no, user_id, created_at, frozen, name FROM users WHERE user_id = $1;
EXECUTE one (NULL);
DEALLOCATE one;

-- users_after
PREPARE one AS SELECT user_no, user_id, created_at, frozen, name FROM users
WHERE user_no > $1 ORDER BY user_no LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- users_by_id
PREPARE one AS SELECT user_no, user_id, created_at, frozen, name FROM users WHERE user_id = ANY ($1::text[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- users_by_no
PREPARE one AS SELECT user_no, user_id, created_at, frozen, name FROM users WHERE user_no = ANY ($1::bigint[]);
EXECUTE one (NULL);
DEALLOCATE one;

-- whole_head
PREPARE one AS SELECT batch_no, seq, hash, earned_count, earned_micros::text FROM chain_head;
EXECUTE one;
DEALLOCATE one;

-- work_after
PREPARE one AS SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  a.number, a.mchid, a.app, a.openid, a.amount_fen, a.scene, a.scene_report, a.remark, a.name,
  a.sends, a.asks, a.doubt, a.first_sent_at, a.last_sent_at, a.bill_no, a.seat, u.user_id,
  p.tries, p.approvals,
  w.queue, w.due_at
FROM work w JOIN payouts p USING (payout) JOIN users u USING (user_no)
  LEFT JOIN attempts a
    ON a.number = 'LQ' || substr(p.payout, 4) || lpad((p.tries + 1)::text, 2, '0')
WHERE w.payout > $1 ORDER BY w.payout LIMIT $2;
EXECUTE one (NULL, NULL);
DEALLOCATE one;

-- move_locked_accounts
PREPARE one AS UPDATE user_accounts a SET available_micros = n.available, held_micros = n.held,
  receivable_micros = n.receivable, newest = n.newest
FROM unnest($1::tid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS n (place, user_no, available, held, receivable, newest)
WHERE a.ctid = n.place AND a.user_no = n.user_no;
EXECUTE one ('{"(0,3)"}', '{1}', '{1000000}', '{1000000}', '{NULL}', '{2}');
DEALLOCATE one;

-- lock_accounts
PREPARE one AS SELECT a.user_no, a.available_micros, a.held_micros, a.receivable_micros, a.newest, a.ctid
FROM unnest($1::bigint[]) AS n (user_no) JOIN user_accounts a ON a.user_no = n.user_no
ORDER BY a.user_no FOR NO KEY UPDATE OF a;
EXECUTE one (NULL);
DEALLOCATE one;
