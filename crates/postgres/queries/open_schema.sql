CREATE SCHEMA IF NOT EXISTS lingqian;
SET LOCAL search_path = lingqian;
CREATE TABLE IF NOT EXISTS migrations (
  number integer PRIMARY KEY CHECK (number > 0),
  name text NOT NULL,
  needs integer NOT NULL,
  words text NOT NULL
)
