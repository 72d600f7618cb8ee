PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE pages (
    first_seq INTEGER PRIMARY KEY,
    entries INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE balances (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    up_to_seq INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
