-- A user has a link per app, and a link stands somehow: it can be relied on, needs its user again,
-- or was ended. What was there before is relied on; its tokens are due.
CREATE TABLE links_by_app (
  user_no INTEGER NOT NULL REFERENCES users,
  app TEXT NOT NULL,
  openid TEXT NOT NULL,
  unionid TEXT,
  scope TEXT NOT NULL,
  tokens BLOB,
  linked_at INTEGER NOT NULL,
  standing TEXT NOT NULL CHECK (standing IN ('active', 'needs_reauthorization', 'revoked')),
  reason TEXT,
  changed_at INTEGER NOT NULL,
  cools_until INTEGER,
  sharing TEXT NOT NULL CHECK (sharing IN ('alone', 'flagged', 'allowed')),
  refresh_at INTEGER,
  refresh_tries INTEGER NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0),
  lease_until INTEGER,
  PRIMARY KEY (user_no, app),
  CONSTRAINT nothing_acts_for_an_ended_link
    CHECK (standing <> 'revoked' OR (tokens IS NULL AND refresh_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO links_by_app (user_no, app, openid, unionid, scope, tokens, linked_at, standing,
  changed_at, sharing, refresh_at, refresh_tries, version)
SELECT user_no, app, openid, unionid, scope, tokens, linked_at, 'active', linked_at, 'alone',
  linked_at + 604800000, 0, 1
FROM links;
DROP TABLE links;
ALTER TABLE links_by_app RENAME TO links;

-- A wallet that nobody was told is shared is one user's.
CREATE UNIQUE INDEX links_alone ON links (openid)
WHERE standing <> 'revoked' AND sharing = 'alone';
CREATE INDEX links_openid ON links (openid);
CREATE INDEX links_unionid ON links (unionid) WHERE unionid IS NOT NULL;
CREATE INDEX links_due ON links (refresh_at) WHERE refresh_at IS NOT NULL;
