-- The books. Amounts are micro-yuan where a column ends in _micros and fen where it ends in
-- _fen; the currency is CNY throughout. Times are Unix milliseconds, days are days since
-- 1970-01-01 in Asia/Shanghai.

CREATE TABLE kinds (
  kind_no INTEGER PRIMARY KEY CHECK (kind_no > 0),
  code TEXT NOT NULL UNIQUE,
  price_micros INTEGER,
  amount_max_micros INTEGER NOT NULL,
  tax_class TEXT NOT NULL
) STRICT;

CREATE TABLE merchants (
  merchant_no INTEGER PRIMARY KEY,
  mchid TEXT NOT NULL UNIQUE,
  app TEXT NOT NULL,
  scene TEXT NOT NULL,
  scene_report TEXT NOT NULL,
  remark TEXT NOT NULL
) STRICT;

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

CREATE TABLE users (
  user_no INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  frozen INTEGER NOT NULL CHECK (frozen IN (0, 1)),
  name BLOB
) STRICT;

CREATE TABLE links (
  user_no INTEGER PRIMARY KEY REFERENCES users,
  app TEXT NOT NULL,
  openid TEXT NOT NULL UNIQUE,
  unionid TEXT,
  scope TEXT NOT NULL,
  tokens BLOB NOT NULL,
  linked_at INTEGER NOT NULL
) STRICT;

CREATE TABLE link_states (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  user_no INTEGER NOT NULL REFERENCES users,
  app TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT, WITHOUT ROWID;

-- One movement of money each; user_no is the user whose account it touches, for statements.
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  debit_class INTEGER NOT NULL,
  debit_owner INTEGER NOT NULL,
  credit_class INTEGER NOT NULL,
  credit_owner INTEGER NOT NULL,
  amount_micros INTEGER NOT NULL CONSTRAINT entries_amount_positive CHECK (amount_micros > 0),
  cause TEXT NOT NULL,
  payout TEXT,
  at INTEGER NOT NULL,
  user_no INTEGER
) STRICT;
CREATE INDEX entries_by_user ON entries (user_no, seq) WHERE user_no IS NOT NULL;
CREATE INDEX entries_by_payout ON entries (payout, seq) WHERE payout IS NOT NULL;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- (source, event_id) names an event for ever.
CREATE TABLE earnings (
  entry_seq INTEGER PRIMARY KEY REFERENCES entries,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  user_no INTEGER NOT NULL,
  kind_no INTEGER NOT NULL,
  amount_micros INTEGER NOT NULL CHECK (amount_micros > 0),
  occurred_at INTEGER,
  recorded_at INTEGER NOT NULL,
  CONSTRAINT earnings_once UNIQUE (source, event_id)
) STRICT;

-- What the entries add up to: credits minus debits. Users' accounts are never below zero.
CREATE TABLE accounts (
  class INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  balance_micros INTEGER NOT NULL,
  PRIMARY KEY (class, owner),
  CONSTRAINT accounts_never_negative CHECK (class NOT IN (1, 2) OR balance_micros >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE payouts (
  payout TEXT PRIMARY KEY,
  user_no INTEGER NOT NULL REFERENCES users,
  merchant_no INTEGER NOT NULL REFERENCES merchants,
  amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
  reference TEXT NOT NULL UNIQUE,
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
  CONSTRAINT payouts_paid_has_a_time CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
  CONSTRAINT payouts_paid_has_a_day CHECK ((state = 'paid') = (paid_on IS NOT NULL)),
  CONSTRAINT payouts_code_belongs CHECK (
    (state IN ('deferred', 'unknown', 'failed', 'refused')) = (code IS NOT NULL)),
  CONSTRAINT payouts_package_belongs CHECK (package IS NULL OR state = 'awaiting_user')
) STRICT, WITHOUT ROWID;
CREATE INDEX payouts_by_user ON payouts (user_no, payout);
CREATE INDEX payouts_by_state ON payouts (state, payout);
CREATE INDEX payouts_by_paid_day ON payouts (paid_on, payout) WHERE paid_on IS NOT NULL;
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE OF state ON payouts
WHEN OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused') AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'a final payout never changes its state'); END;

-- The order as it is sent, every time. The number is durable before the first byte goes out.
CREATE TABLE attempts (
  payout TEXT PRIMARY KEY REFERENCES payouts,
  number TEXT NOT NULL UNIQUE,
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
CREATE TRIGGER attempts_order_is_durable
BEFORE UPDATE OF number, mchid, app, openid, amount_fen, canonical ON attempts
WHEN NEW.number <> OLD.number OR NEW.mchid <> OLD.mchid OR NEW.app <> OLD.app
  OR NEW.openid <> OLD.openid OR NEW.amount_fen <> OLD.amount_fen
  OR NEW.canonical <> OLD.canonical
BEGIN SELECT RAISE(ABORT, 'an order never changes once it may have been sent'); END;

CREATE TABLE payout_history (
  line INTEGER PRIMARY KEY,
  payout TEXT NOT NULL REFERENCES payouts,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  state TEXT NOT NULL,
  code TEXT,
  seen INTEGER NOT NULL CHECK (seen IN (0, 1)),
  status INTEGER,
  request_id TEXT,
  body TEXT
) STRICT;
CREATE INDEX payout_history_by_payout ON payout_history (payout, line);

-- What every unfinished payout waits for; leased to one process at a time.
CREATE TABLE work (
  payout TEXT PRIMARY KEY REFERENCES payouts,
  queue TEXT NOT NULL CHECK (queue IN ('assess', 'send', 'ask', 'cancel')),
  due_at INTEGER NOT NULL,
  lease_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX work_by_due ON work (queue, due_at);

CREATE TABLE payout_days (
  user_no INTEGER NOT NULL,
  day INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
  PRIMARY KEY (user_no, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  payout TEXT NOT NULL REFERENCES payouts,
  amount_fen INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE bill_lines (
  merchant_no INTEGER NOT NULL,
  flow_no TEXT NOT NULL,
  day INTEGER NOT NULL,
  booked_at INTEGER NOT NULL,
  business_no TEXT NOT NULL,
  voucher TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('out', 'in')),
  amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
  balance_fen INTEGER NOT NULL,
  words TEXT NOT NULL,
  matched TEXT NOT NULL CHECK (matched IN ('payout', 'returned', 'top_up', 'unexplained')),
  payout TEXT,
  entry_seq INTEGER NOT NULL,
  PRIMARY KEY (merchant_no, flow_no),
  CONSTRAINT bill_lines_payout_belongs
    CHECK ((matched IN ('payout', 'returned')) = (payout IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE bills (
  merchant_no INTEGER NOT NULL,
  day INTEGER NOT NULL,
  sha1 TEXT NOT NULL,
  lines INTEGER NOT NULL,
  out_fen INTEGER NOT NULL,
  in_fen INTEGER NOT NULL,
  opening_fen INTEGER NOT NULL,
  closing_fen INTEGER NOT NULL,
  fetched_at INTEGER NOT NULL,
  PRIMARY KEY (merchant_no, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE breaks (
  subject TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  day INTEGER NOT NULL,
  difference_fen INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  closed_at INTEGER
) STRICT, WITHOUT ROWID;

-- Inputs that could not be credited; one that comes again is counted, not kept twice.
CREATE TABLE dead_letters (
  code TEXT NOT NULL,
  raw BLOB NOT NULL,
  door TEXT NOT NULL,
  position TEXT NOT NULL,
  at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  PRIMARY KEY (code, raw)
) STRICT;
