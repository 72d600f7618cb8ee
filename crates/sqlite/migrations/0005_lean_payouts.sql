-- A payout is born as one row at the end of its table and one entry of one index. What else is
-- known of it then is in its hold: the names by which it is found again, for ever. The other
-- indexes take it in once it is no longer as it was born; what it waits for is in its row.
CREATE TABLE lean_payouts (
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
    'requested', 'approved', 'sending', 'deferred', 'unknown', 'processing', 'awaiting_user',
    'cancelling', 'paid', 'failed', 'expired', 'cancelled', 'refused')),
  code TEXT,
  package TEXT,
  paid_at INTEGER,
  paid_on INTEGER,
  -- What an unfinished payout waits for; leased to one process at a time.
  queue TEXT CHECK (queue IN ('assess', 'send', 'ask', 'cancel')),
  due_at INTEGER,
  lease_until INTEGER,
  -- The number of its hold, where its first entry and the first line of its history are told by
  -- nothing else.
  hold_seq INTEGER,
  CONSTRAINT payouts_paid_has_a_time CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
  CONSTRAINT payouts_paid_has_a_day CHECK ((state = 'paid') = (paid_on IS NOT NULL)),
  CONSTRAINT payouts_code_belongs CHECK (
    (state IN ('deferred', 'unknown', 'failed', 'refused')) = (code IS NOT NULL)),
  CONSTRAINT payouts_package_belongs CHECK (package IS NULL OR state = 'awaiting_user'),
  CONSTRAINT payouts_wait_for_a_time CHECK ((queue IS NULL) = (due_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO lean_payouts (payout, user_no, merchant_no, amount_fen, reference, asked, created_at,
  updated_at, version, counted_on, billed_fen, state, code, package, paid_at, paid_on, queue,
  due_at, lease_until)
SELECT p.payout, p.user_no, p.merchant_no, p.amount_fen, p.reference, p.asked, p.created_at,
  p.updated_at, p.version, p.counted_on, p.billed_fen, p.state, p.code, p.package, p.paid_at,
  p.paid_on, w.queue, w.due_at, w.lease_until
FROM payouts p LEFT JOIN work w USING (payout) ORDER BY p.payout;

-- References of payouts whose holds do not bear them: all that were made before.
CREATE TABLE bare_references (
  reference TEXT PRIMARY KEY,
  payout TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO bare_references SELECT reference, payout FROM payouts ORDER BY reference;

DROP TABLE work;
DROP TABLE payouts;
ALTER TABLE lean_payouts RENAME TO payouts;
CREATE INDEX payouts_open ON payouts (queue, due_at, payout)
WHERE queue IS NOT NULL OR state = 'requested';
CREATE INDEX payouts_by_user ON payouts (user_no, payout) WHERE state <> 'requested';
CREATE INDEX payouts_by_state ON payouts (state, payout) WHERE state <> 'requested';
CREATE INDEX payouts_by_paid_day ON payouts (paid_on, payout) WHERE paid_on IS NOT NULL;
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE OF state, code, paid_at ON payouts
WHEN OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused')
  AND (NEW.state <> OLD.state OR NEW.code IS NOT OLD.code OR NEW.paid_at IS NOT OLD.paid_at)
BEGIN SELECT RAISE(ABORT, 'a final payout never changes its state'); END;
CREATE TRIGGER payouts_keep_what_they_were_made_of
BEFORE UPDATE OF user_no, merchant_no, amount_fen, reference, asked, created_at, hold_seq
ON payouts
WHEN NEW.user_no <> OLD.user_no OR NEW.merchant_no <> OLD.merchant_no
  OR NEW.amount_fen <> OLD.amount_fen OR NEW.reference <> OLD.reference
  OR NEW.asked <> OLD.asked OR NEW.created_at <> OLD.created_at
  OR NEW.hold_seq IS NOT OLD.hold_seq
BEGIN SELECT RAISE(ABORT, 'a payout keeps what it was made of'); END;
