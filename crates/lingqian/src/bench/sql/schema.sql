PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -131072;
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount_micros INTEGER NOT NULL CHECK (amount_micros > 0),
    occurred_at INTEGER,
    CONSTRAINT event_once UNIQUE (source, event_id)
) STRICT;
CREATE TABLE balances (
    user TEXT PRIMARY KEY,
    micros INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
