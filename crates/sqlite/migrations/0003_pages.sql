-- Entries in pages of fixed-size records instead of rows, hash-chained from the first to the last.
-- The form of a page's body is told in FORMAT.md.
CREATE TABLE pages (
  first_seq INTEGER PRIMARY KEY CHECK (first_seq > 0),
  count INTEGER NOT NULL CHECK (count BETWEEN 1 AND 512),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  body BLOB NOT NULL CONSTRAINT pages_have_their_records CHECK (length(body) >= count * 64)
) STRICT;
CREATE TRIGGER pages_are_never_changed BEFORE UPDATE ON pages
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER pages_are_never_deleted BEFORE DELETE ON pages
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- One row: the key of the hashes in this file, up to which entry chunks and runs hold, and what
-- users have and owe all together.
CREATE TABLE ledger (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  key BLOB NOT NULL CHECK (length(key) = 16),
  replay_from INTEGER NOT NULL CHECK (replay_from >= 0),
  sealed_to INTEGER NOT NULL CHECK (sealed_to >= 0),
  available_micros INTEGER NOT NULL CHECK (available_micros >= 0),
  held_micros INTEGER NOT NULL CHECK (held_micros >= 0),
  owed_micros INTEGER NOT NULL CHECK (owed_micros >= 0),
  events INTEGER NOT NULL CHECK (events >= 0),
  events_micros INTEGER NOT NULL CHECK (events_micros >= 0)
) STRICT;
INSERT INTO ledger VALUES (1, randomblob(16), 0, 0, 0, 0, 0, 0, 0);

-- Users' accounts, 256 users a row, as they were after the entry stored_to.
CREATE TABLE account_chunks (
  chunk INTEGER PRIMARY KEY CHECK (chunk >= 0),
  stored_to INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE sources (
  source_no INTEGER PRIMARY KEY,
  source TEXT NOT NULL UNIQUE
) STRICT;

-- How much of an event was taken back, by the number of its entry.
CREATE TABLE clawed (
  entry_seq INTEGER PRIMARY KEY,
  amount_micros INTEGER NOT NULL CHECK (amount_micros > 0)
) STRICT;

-- Fingerprints of the names of all events up to ledger.sealed_to, in sorted runs.
CREATE TABLE id_runs (
  run INTEGER PRIMARY KEY,
  level INTEGER NOT NULL,
  bits INTEGER NOT NULL,
  ids INTEGER NOT NULL
) STRICT;
CREATE TABLE id_buckets (
  slot INTEGER PRIMARY KEY,
  filter BLOB NOT NULL,
  ids BLOB NOT NULL
) STRICT;

-- The entries of payouts.
CREATE TABLE payout_entries (
  payout TEXT NOT NULL,
  entry_seq INTEGER NOT NULL,
  PRIMARY KEY (payout, entry_seq)
) STRICT, WITHOUT ROWID;

ALTER TABLE kinds ADD COLUMN user_day_amount_max_micros INTEGER;
ALTER TABLE kinds ADD COLUMN user_day_count_max INTEGER;
ALTER TABLE kinds ADD COLUMN cooling_days INTEGER NOT NULL DEFAULT 0;
ALTER TABLE kinds ADD COLUMN between_users INTEGER NOT NULL DEFAULT 0
  CHECK (between_users IN (0, 1));

-- System accounts alone; what users have is in account_chunks.
ALTER TABLE accounts RENAME TO row_accounts;
CREATE TABLE accounts (
  class INTEGER NOT NULL CONSTRAINT accounts_are_of_the_system CHECK (class NOT IN (1, 2, 3)),
  owner INTEGER NOT NULL,
  balance_micros INTEGER NOT NULL,
  PRIMARY KEY (class, owner)
) STRICT, WITHOUT ROWID;
