-- What somebody made of dead letters, and how far sources were read and sinks were told.
-- The digest is the BLAKE3 of the input, by which a letter is found; the program fills it in.
ALTER TABLE dead_letters ADD COLUMN digest BLOB;
CREATE INDEX dead_letters_by_digest ON dead_letters (code, digest);

CREATE TABLE letter_ends (
  letter TEXT PRIMARY KEY,
  fate TEXT NOT NULL CHECK (fate IN ('replayed', 'discarded')),
  times INTEGER NOT NULL,
  at INTEGER NOT NULL,
  event TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE marks (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
