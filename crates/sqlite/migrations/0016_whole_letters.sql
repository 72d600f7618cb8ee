-- A dead letter is as long as what came. It is told from others by its digest, so that what it says
-- is not in an index a second time.
CREATE TABLE whole_letters (
  code TEXT NOT NULL,
  digest BLOB NOT NULL,
  door TEXT NOT NULL,
  position TEXT NOT NULL,
  at INTEGER NOT NULL,
  times INTEGER NOT NULL,
  -- Last, so that whoever does not ask for it does not read past it.
  raw BLOB NOT NULL,
  PRIMARY KEY (code, digest)
) STRICT;
INSERT INTO whole_letters (rowid, code, digest, door, position, at, times, raw)
SELECT rowid, code, digest, door, position, at, times, raw FROM dead_letters ORDER BY rowid;
DROP TABLE dead_letters;
ALTER TABLE whole_letters RENAME TO dead_letters;
CREATE INDEX dead_letters_by_time ON dead_letters (at);

-- Which process publishes to a sink.
CREATE TABLE sink_leases (
  sink TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
