-- Pages and chunks of users' accounts have a second form that takes half the bytes; the first is
-- read as before. A page's form is told by its first byte, a chunk's by this column.
ALTER TABLE account_chunks ADD COLUMN form INTEGER NOT NULL DEFAULT 1 CHECK (form IN (1, 2));

-- A check says nothing about rows that are there, so the table of pages, which may be large, need
-- not be written anew for another one: only its words are.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE pages (
  first_seq INTEGER PRIMARY KEY CHECK (first_seq > 0),
  count INTEGER NOT NULL CHECK (count > 0),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  body BLOB NOT NULL CONSTRAINT pages_have_their_records CHECK (length(body) >= count * 4)
) STRICT' WHERE type = 'table' AND name = 'pages';
PRAGMA writable_schema = RESET;
