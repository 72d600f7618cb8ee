-- What operators are told of, who was told of it, and who is at it.
CREATE TABLE alerts (
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  since INTEGER NOT NULL,
  noticed_at INTEGER NOT NULL,
  ended_at INTEGER,
  words TEXT NOT NULL,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_tells (
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  target TEXT NOT NULL,
  told_at INTEGER NOT NULL,
  times INTEGER NOT NULL CHECK (times > 0),
  PRIMARY KEY (kind, subject, target),
  FOREIGN KEY (kind, subject) REFERENCES alerts
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_targets (
  target TEXT PRIMARY KEY,
  next_at INTEGER,
  failures INTEGER NOT NULL,
  told_at INTEGER,
  failed_at INTEGER,
  failed_with TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_watch (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  holder TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT;
INSERT INTO alert_watch (one, holder, until) VALUES (1, '', 0);

-- What a user was told, and up to where the user read it.
CREATE INDEX notices_by_user ON notices (user_id, number) WHERE user_id IS NOT NULL;
CREATE TABLE message_reads (
  user_id TEXT PRIMARY KEY,
  read_to INTEGER NOT NULL CHECK (read_to >= 0)
) STRICT, WITHOUT ROWID;
