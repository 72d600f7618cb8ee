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
-- A list of more than two texts is made into a table of its own each time it is looked into, which
-- cost more than the row itself; the same is said without lists.
UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
  'state IN (
    ''requested'', ''review'', ''approved'', ''sending'', ''deferred'', ''unknown'', ''processing'',
    ''awaiting_user'', ''cancelling'', ''paid'', ''failed'', ''expired'', ''cancelled'', ''refused'')',
  'state = ''requested'' OR state = ''review'' OR state = ''approved'' OR state = ''sending''
    OR state = ''deferred'' OR state = ''unknown'' OR state = ''processing''
    OR state = ''awaiting_user'' OR state = ''cancelling'' OR state = ''paid'' OR state = ''failed''
    OR state = ''expired'' OR state = ''cancelled'' OR state = ''refused'''),
  'queue IN (''assess'', ''review'', ''send'', ''ask'', ''cancel'')',
  'queue = ''assess'' OR queue = ''review'' OR queue = ''send'' OR queue = ''ask''
    OR queue = ''cancel'''),
  'state IN (''review'', ''deferred'', ''unknown'', ''failed'', ''refused'')',
  'state = ''review'' OR state = ''deferred'' OR state = ''unknown'' OR state = ''failed''
    OR state = ''refused''')
WHERE type = 'table' AND name = 'payouts';
PRAGMA writable_schema = RESET;
