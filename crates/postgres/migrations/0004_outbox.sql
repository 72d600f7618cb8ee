-- What the outside is told, in the order of the commits and without a gap.
CREATE TABLE notices (
  number bigint PRIMARY KEY,
  at bigint NOT NULL,
  event text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  user_id text COLLATE "C",
  version bigint,
  data text NOT NULL
);
CREATE TRIGGER notices_are_never_changed BEFORE UPDATE OR DELETE ON notices
FOR EACH ROW EXECUTE FUNCTION refuse('notices are append-only');

-- Who is to hear of them, and how that went.
CREATE TABLE endpoints (
  endpoint text COLLATE "C" PRIMARY KEY,
  url text NOT NULL,
  -- Separated by spaces; all of them where there is none.
  events text NOT NULL,
  note text NOT NULL,
  created_at bigint NOT NULL,
  off_since bigint,
  off_why text,
  deleted boolean NOT NULL,
  planned_to bigint NOT NULL,
  failures bigint NOT NULL DEFAULT 0,
  paused_until bigint,
  delivered_at bigint,
  failed_at bigint,
  failed_with text,
  CONSTRAINT endpoints_are_off_for_a_reason CHECK ((off_since IS NULL) = (off_why IS NULL))
);

-- What signs, the newest first.
CREATE TABLE endpoint_secrets (
  endpoint text COLLATE "C" NOT NULL REFERENCES endpoints,
  place bigint NOT NULL,
  scheme text COLLATE "C" NOT NULL CHECK (scheme IN ('v1', 'v1a')),
  sealed bytea NOT NULL,
  until bigint,
  PRIMARY KEY (endpoint, place)
);

-- What was not taken yet. Nothing is due of what was given up.
CREATE TABLE deliveries (
  endpoint text COLLATE "C" NOT NULL REFERENCES endpoints,
  number bigint NOT NULL,
  lane text COLLATE "C" NOT NULL,
  due_at bigint,
  lease_until bigint,
  tries bigint NOT NULL DEFAULT 0,
  first_at bigint,
  code text,
  PRIMARY KEY (endpoint, number)
);
CREATE INDEX deliveries_due ON deliveries (due_at, number) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_lane ON deliveries (endpoint, lane, number) WHERE due_at IS NOT NULL;

CREATE VIEW lingqian_views.notices AS
SELECT number, lingqian_views.iso(at) AS at, event, subject, user_id, version, data
FROM lingqian.notices;
COMMENT ON VIEW lingqian_views.notices IS 'what the outside was told, in its order';

CREATE VIEW lingqian_views.endpoints AS
SELECT endpoint, url, events, note, lingqian_views.iso(created_at) AS created_at,
  lingqian_views.iso(off_since) AS off_since, off_why, deleted, planned_to, failures,
  lingqian_views.iso(delivered_at) AS delivered_at, lingqian_views.iso(failed_at) AS failed_at,
  failed_with FROM lingqian.endpoints;
COMMENT ON VIEW lingqian_views.endpoints IS 'who is told, never what signs';

CREATE VIEW lingqian_views.deliveries AS
SELECT endpoint, number, lane, lingqian_views.iso(due_at) AS due_at, tries,
  lingqian_views.iso(first_at) AS first_at, code FROM lingqian.deliveries;
COMMENT ON VIEW lingqian_views.deliveries IS 'what was told and not taken yet';
