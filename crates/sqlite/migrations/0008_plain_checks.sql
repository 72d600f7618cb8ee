-- A list of more than two texts is made into a table of its own each time it is looked into, which
-- cost more than the row itself; the same is said without lists.
-- Only the words of the table change; what they say of its rows does not.
PRAGMA writable_schema = ON;
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
