-- What the outside is told, in the order of the commits and without a gap.
CREATE TABLE notices (
  number INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  subject TEXT NOT NULL,
  user_id TEXT,
  version INTEGER,
  data TEXT NOT NULL
) STRICT;
CREATE TRIGGER notices_are_never_changed BEFORE UPDATE ON notices
BEGIN SELECT RAISE(ABORT, 'notices are append-only'); END;
CREATE TRIGGER notices_are_never_deleted BEFORE DELETE ON notices
BEGIN SELECT RAISE(ABORT, 'notices are append-only'); END;

-- Who is to hear of them, and how that went.
CREATE TABLE endpoints (
  endpoint TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  -- Separated by spaces; all of them where there is none.
  events TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  off_since INTEGER,
  off_why TEXT,
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  planned_to INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  paused_until INTEGER,
  delivered_at INTEGER,
  failed_at INTEGER,
  failed_with TEXT,
  CONSTRAINT endpoints_are_off_for_a_reason CHECK ((off_since IS NULL) = (off_why IS NULL))
) STRICT, WITHOUT ROWID;

-- What signs, the newest first.
CREATE TABLE endpoint_secrets (
  endpoint TEXT NOT NULL REFERENCES endpoints,
  place INTEGER NOT NULL,
  scheme TEXT NOT NULL CHECK (scheme IN ('v1', 'v1a')),
  sealed BLOB NOT NULL,
  until INTEGER,
  PRIMARY KEY (endpoint, place)
) STRICT, WITHOUT ROWID;

-- What was not taken yet. Nothing is due of what was given up.
CREATE TABLE deliveries (
  endpoint TEXT NOT NULL REFERENCES endpoints,
  number INTEGER NOT NULL,
  lane TEXT NOT NULL,
  due_at INTEGER,
  lease_until INTEGER,
  tries INTEGER NOT NULL DEFAULT 0,
  first_at INTEGER,
  code TEXT,
  PRIMARY KEY (endpoint, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (due_at, number) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_lane ON deliveries (endpoint, lane, number) WHERE due_at IS NOT NULL;
