-- A payout may have several attempts, one after the other; people may be asked before it is
-- sent; and what is stopped, what was done by hand and what each merchant paid in a day is kept.
CREATE TABLE payouts_anew (
  payout TEXT PRIMARY KEY,
  user_no INTEGER NOT NULL,
  merchant_no INTEGER NOT NULL,
  amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
  reference TEXT NOT NULL,
  asked TEXT NOT NULL CHECK (asked IN ('request', 'sweep')),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  version INTEGER NOT NULL,
  counted_on INTEGER,
  billed_fen INTEGER NOT NULL,
  state TEXT NOT NULL CONSTRAINT payouts_state CHECK (state IN (
    'requested', 'review', 'approved', 'sending', 'deferred', 'unknown', 'processing',
    'awaiting_user', 'cancelling', 'paid', 'failed', 'expired', 'cancelled', 'refused')),
  code TEXT,
  package TEXT,
  paid_at INTEGER,
  paid_on INTEGER,
  -- What an unfinished payout waits for; leased to one process at a time.
  queue TEXT CHECK (queue IN ('assess', 'review', 'send', 'ask', 'cancel')),
  due_at INTEGER,
  lease_until INTEGER,
  -- The number of its hold, where its first entry and the first line of its history are told by
  -- nothing else.
  hold_seq INTEGER,
  -- How many attempts ended unpaid; the number of the present one ends in one more.
  tries INTEGER NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 99),
  -- Who approved it so far, separated by spaces.
  approvals TEXT,
  CONSTRAINT payouts_paid_has_a_time CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
  CONSTRAINT payouts_paid_has_a_day CHECK ((state = 'paid') = (paid_on IS NOT NULL)),
  CONSTRAINT payouts_code_belongs CHECK (
    (state IN ('review', 'deferred', 'unknown', 'failed', 'refused')) = (code IS NOT NULL)),
  CONSTRAINT payouts_package_belongs CHECK (package IS NULL OR state = 'awaiting_user'),
  CONSTRAINT payouts_approvals_belong CHECK ((state = 'review') = (approvals IS NOT NULL)),
  CONSTRAINT payouts_wait_for_a_time CHECK ((queue IS NULL) = (due_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO payouts_anew (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, queue,
  due_at, lease_until, hold_seq)
SELECT payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, queue,
  due_at, lease_until, hold_seq
FROM payouts ORDER BY payout;

CREATE TABLE attempts_anew (
  number TEXT PRIMARY KEY,
  payout TEXT NOT NULL REFERENCES payouts,
  mchid TEXT NOT NULL,
  app TEXT NOT NULL,
  openid TEXT NOT NULL,
  amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
  scene TEXT NOT NULL,
  scene_report TEXT NOT NULL,
  remark TEXT NOT NULL,
  name BLOB,
  canonical TEXT NOT NULL,
  sends INTEGER NOT NULL,
  asks INTEGER NOT NULL,
  doubt INTEGER NOT NULL CHECK (doubt IN (0, 1)),
  first_sent_at INTEGER NOT NULL,
  last_sent_at INTEGER NOT NULL,
  bill_no TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO attempts_anew (number, payout, mchid, app, openid, amount_fen, scene, scene_report,
  remark, name, canonical, sends, asks, doubt, first_sent_at, last_sent_at, bill_no)
SELECT number, payout, mchid, app, openid, amount_fen, scene, scene_report,
  remark, name, canonical, sends, asks, doubt, first_sent_at, last_sent_at, bill_no
FROM attempts ORDER BY number;

DROP TABLE attempts;
DROP TABLE payouts;
ALTER TABLE payouts_anew RENAME TO payouts;
ALTER TABLE attempts_anew RENAME TO attempts;

CREATE INDEX payouts_open ON payouts (queue, due_at, payout)
WHERE queue IS NOT NULL OR state = 'requested';
CREATE INDEX payouts_by_user ON payouts (user_no, payout) WHERE state <> 'requested';
CREATE INDEX payouts_by_state ON payouts (state, payout) WHERE state <> 'requested';
CREATE INDEX payouts_by_paid_day ON payouts (paid_on, payout) WHERE paid_on IS NOT NULL;
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE OF state, code, paid_at, tries ON payouts
WHEN OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused')
  AND (NEW.state <> OLD.state OR NEW.code IS NOT OLD.code OR NEW.paid_at IS NOT OLD.paid_at
    OR NEW.tries <> OLD.tries)
BEGIN SELECT RAISE(ABORT, 'a final payout never changes its state'); END;
CREATE TRIGGER payouts_keep_what_they_were_made_of
BEFORE UPDATE OF user_no, merchant_no, amount_fen, reference, asked, created_at, hold_seq
ON payouts
WHEN NEW.user_no <> OLD.user_no OR NEW.amount_fen <> OLD.amount_fen
  OR NEW.reference <> OLD.reference OR NEW.asked <> OLD.asked
  OR NEW.created_at <> OLD.created_at OR NEW.hold_seq IS NOT OLD.hold_seq
  -- Who pays is decided when the order is made.
  OR (NEW.merchant_no <> OLD.merchant_no AND OLD.state <> 'approved')
BEGIN SELECT RAISE(ABORT, 'a payout keeps what it was made of'); END;
CREATE TRIGGER payouts_count_their_tries BEFORE UPDATE OF tries ON payouts
WHEN NEW.tries < OLD.tries OR NEW.tries > OLD.tries + 1
  OR (NEW.tries > OLD.tries AND NEW.state <> 'approved')
BEGIN SELECT RAISE(ABORT, 'one attempt of a payout ends at a time'); END;
-- The whole order, the sealed name too; the canonical text has the scene's report in it.
CREATE TRIGGER attempts_order_is_durable BEFORE UPDATE ON attempts
WHEN NEW.number <> OLD.number OR NEW.mchid <> OLD.mchid OR NEW.app <> OLD.app
  OR NEW.openid <> OLD.openid OR NEW.amount_fen <> OLD.amount_fen OR NEW.scene <> OLD.scene
  OR NEW.remark <> OLD.remark OR NEW.name IS NOT OLD.name OR NEW.canonical <> OLD.canonical
  OR NEW.payout <> OLD.payout
BEGIN SELECT RAISE(ABORT, 'an order never changes once it may have been sent'); END;

-- A number is that of its payout, and of no attempt before its time.
CREATE TRIGGER attempts_have_their_numbers BEFORE INSERT ON attempts
WHEN substr(NEW.number, 1, 28) <> 'LQ' || substr(NEW.payout, 4)
  OR CAST(substr(NEW.number, 29) AS INTEGER)
    > (SELECT tries + 1 FROM payouts WHERE payout = NEW.payout)
BEGIN SELECT RAISE(ABORT, 'an order never changes once it may have been sent'); END;

ALTER TABLE merchants ADD COLUMN weight INTEGER NOT NULL DEFAULT 1 CHECK (weight >= 0);
ALTER TABLE merchants ADD COLUMN day_quota_fen INTEGER CHECK (day_quota_fen >= 0);

-- What merchants were told to pay on a day.
CREATE TABLE merchant_days (
  merchant_no INTEGER NOT NULL,
  day INTEGER NOT NULL,
  amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
  PRIMARY KEY (merchant_no, day)
) STRICT, WITHOUT ROWID;

-- What keeps payouts from leaving, each for one cause, until it is lifted.
CREATE TABLE stops (
  scope TEXT NOT NULL,
  cause TEXT NOT NULL CHECK (cause IN ('person', 'float', 'audit')),
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  probe_at INTEGER,
  probes INTEGER NOT NULL,
  lifted_at INTEGER,
  PRIMARY KEY (scope, cause)
) STRICT, WITHOUT ROWID;

-- What was done by hand, or by the engine in a person's place.
CREATE TABLE deeds (
  deed INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  what TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL
) STRICT;
CREATE TRIGGER deeds_are_never_changed BEFORE UPDATE ON deeds
BEGIN SELECT RAISE(ABORT, 'deeds are append-only'); END;
CREATE TRIGGER deeds_are_never_deleted BEFORE DELETE ON deeds
BEGIN SELECT RAISE(ABORT, 'deeds are append-only'); END;
