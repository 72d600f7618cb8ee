-- What operators are told of, who was told of it, and who is at it.
CREATE TABLE alerts (
  kind text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  since bigint NOT NULL,
  noticed_at bigint NOT NULL,
  ended_at bigint,
  words text NOT NULL,
  PRIMARY KEY (kind, subject)
);

CREATE TABLE alert_tells (
  kind text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  target text COLLATE "C" NOT NULL,
  told_at bigint NOT NULL,
  times bigint NOT NULL CHECK (times > 0),
  PRIMARY KEY (kind, subject, target),
  FOREIGN KEY (kind, subject) REFERENCES alerts
);

CREATE TABLE alert_targets (
  target text COLLATE "C" PRIMARY KEY,
  next_at bigint,
  failures bigint NOT NULL,
  told_at bigint,
  failed_at bigint,
  failed_with text
);

CREATE TABLE alert_watch (
  one bigint PRIMARY KEY CHECK (one = 1),
  holder text NOT NULL,
  until bigint NOT NULL
);
INSERT INTO alert_watch (one, holder, until) VALUES (1, '', 0);

-- What a user was told, and up to where the user read it.
CREATE INDEX notices_by_user ON notices (user_id, number) WHERE user_id IS NOT NULL;
CREATE TABLE message_reads (
  user_id text COLLATE "C" PRIMARY KEY,
  read_to bigint NOT NULL CHECK (read_to >= 0)
);

CREATE VIEW lingqian_views.alerts AS
SELECT kind, subject, lingqian_views.iso(since) AS since,
  lingqian_views.iso(noticed_at) AS noticed_at, lingqian_views.iso(ended_at) AS ended_at, words
FROM lingqian.alerts;
COMMENT ON VIEW lingqian_views.alerts IS 'what operators are told of';

CREATE VIEW lingqian_views.alert_tells AS
SELECT kind, subject, target, lingqian_views.iso(told_at) AS told_at, times
FROM lingqian.alert_tells;
COMMENT ON VIEW lingqian_views.alert_tells IS 'who was told of what';
