-- What was carried over to pages is dropped.
DROP TABLE earnings;
DROP TABLE entries;
DROP TABLE row_accounts;
