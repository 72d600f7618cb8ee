-- Chunks of users' accounts have a third form, of which day totals and what cools off take as few
-- bytes as they need; the others are read as before. No row is written anew: only the words of the
-- table are.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (form IN (1, 2))', 'CHECK (form BETWEEN 1 AND 3)')
WHERE type = 'table' AND name = 'account_chunks';
PRAGMA writable_schema = RESET;
