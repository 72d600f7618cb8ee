-- What somebody made of dead letters, and how far sources were read and sinks were told.
CREATE TABLE letter_ends (
  letter text COLLATE "C" PRIMARY KEY,
  fate text NOT NULL CHECK (fate IN ('replayed', 'discarded')),
  times bigint NOT NULL,
  at bigint NOT NULL,
  event text NOT NULL
);

CREATE TABLE marks (
  name text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL
);

-- A user has a link per app, and a link stands somehow: it can be relied on, needs its user again,
-- or was ended. What was there before is relied on; its tokens are due. Programs that know one link
-- of a user write and read `links` as ever: what they write is carried over, and of what others
-- write they see one link of the user that holds.
CREATE TABLE app_links (
  user_no bigint NOT NULL REFERENCES users,
  app text COLLATE "C" NOT NULL,
  openid text COLLATE "C" NOT NULL,
  unionid text COLLATE "C",
  scope text NOT NULL,
  tokens bytea,
  linked_at bigint NOT NULL,
  standing text COLLATE "C" NOT NULL
    CHECK (standing IN ('active', 'needs_reauthorization', 'revoked')),
  reason text,
  changed_at bigint NOT NULL,
  cools_until bigint,
  sharing text COLLATE "C" NOT NULL CHECK (sharing IN ('alone', 'flagged', 'allowed')),
  refresh_at bigint,
  refresh_tries bigint NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  lease_until bigint,
  PRIMARY KEY (user_no, app),
  CONSTRAINT nothing_acts_for_an_ended_link
    CHECK (standing <> 'revoked' OR (tokens IS NULL AND refresh_at IS NULL))
);

CREATE FUNCTION carry_link_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN
    RETURN NULL;
  END IF;
  INSERT INTO app_links AS l (user_no, app, openid, unionid, scope, tokens, linked_at, standing,
    changed_at, sharing, refresh_at, refresh_tries, version)
  VALUES (NEW.user_no, NEW.app, NEW.openid, NEW.unionid, NEW.scope, NEW.tokens, NEW.linked_at,
    'active', NEW.linked_at, 'alone', NEW.linked_at + 604800000, 0, 1)
  ON CONFLICT (user_no, app) DO UPDATE SET openid = excluded.openid, unionid = excluded.unionid,
    scope = excluded.scope, tokens = excluded.tokens, linked_at = excluded.linked_at,
    standing = excluded.standing, reason = NULL, changed_at = excluded.changed_at,
    cools_until = NULL, sharing = excluded.sharing, refresh_at = excluded.refresh_at,
    refresh_tries = 0, version = l.version + 1, lease_until = NULL;
  RETURN NULL;
END
$$;
CREATE TRIGGER carry_link_over AFTER INSERT OR UPDATE ON links
FOR EACH ROW EXECUTE FUNCTION carry_link_over();

CREATE FUNCTION show_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_trigger_depth() > 1 THEN
    RETURN NULL;
  END IF;
  IF NEW.standing = 'revoked' THEN
    DELETE FROM links WHERE user_no = NEW.user_no AND app = NEW.app;
    RETURN NULL;
  END IF;
  -- Two users of one wallet are more than those programs know.
  IF NOT EXISTS (SELECT 1 FROM links o WHERE o.openid = NEW.openid AND o.user_no <> NEW.user_no)
  THEN
    INSERT INTO links (user_no, app, openid, unionid, scope, tokens, linked_at)
    VALUES (NEW.user_no, NEW.app, NEW.openid, NEW.unionid, NEW.scope,
      coalesce(NEW.tokens, ''::bytea), NEW.linked_at)
    ON CONFLICT (user_no) DO UPDATE SET app = excluded.app, openid = excluded.openid,
      unionid = excluded.unionid, scope = excluded.scope, tokens = excluded.tokens,
      linked_at = excluded.linked_at;
  END IF;
  RETURN NULL;
END
$$;

INSERT INTO app_links (user_no, app, openid, unionid, scope, tokens, linked_at, standing,
  changed_at, sharing, refresh_at, refresh_tries, version)
SELECT user_no, app, openid, unionid, scope, tokens, linked_at, 'active', linked_at, 'alone',
  linked_at + 604800000, 0, 1
FROM links;
CREATE TRIGGER show_link
AFTER INSERT OR UPDATE OF app, openid, unionid, scope, tokens, linked_at, standing ON app_links
FOR EACH ROW EXECUTE FUNCTION show_link();

-- A wallet that nobody was told is shared is one user's.
CREATE UNIQUE INDEX app_links_alone ON app_links (openid)
WHERE standing <> 'revoked' AND sharing = 'alone';
CREATE INDEX app_links_openid ON app_links (openid);
CREATE INDEX app_links_unionid ON app_links (unionid) WHERE unionid IS NOT NULL;
CREATE INDEX app_links_due ON app_links (refresh_at) WHERE refresh_at IS NOT NULL;

CREATE OR REPLACE VIEW lingqian_views.links AS
SELECT u.user_id, l.user_no, l.app, l.scope, lingqian_views.iso(l.linked_at) AS linked_at,
  l.standing, l.reason, lingqian_views.iso(l.changed_at) AS changed_at,
  lingqian_views.iso(l.cools_until) AS cools_until, l.sharing,
  lingqian_views.iso(l.refresh_at) AS refresh_at, l.version
FROM lingqian.app_links l JOIN lingqian.users u USING (user_no);
