-- The books. Amounts are micro-yuan where a column ends in _micros and fen where it ends in
-- _fen; the currency is CNY throughout. Times are Unix milliseconds, days are days since
-- 1970-01-01 in Asia/Shanghai. Names compare by their bytes.

-- What a trigger says when it refuses; the code tells our words from anybody else's.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'LQ001', MESSAGE = TG_ARGV[0];
END
$$;

CREATE TABLE kinds (
  kind_no bigint PRIMARY KEY CHECK (kind_no > 0),
  code text COLLATE "C" NOT NULL UNIQUE,
  price_micros bigint,
  amount_max_micros bigint NOT NULL,
  tax_class text NOT NULL,
  user_day_micros_max bigint,
  user_day_count_max bigint,
  cooling_days integer NOT NULL CHECK (cooling_days >= 0),
  between_users boolean NOT NULL
);
CREATE TRIGGER kinds_keep_their_codes BEFORE UPDATE ON kinds
FOR EACH ROW WHEN (NEW.code <> OLD.code OR NEW.kind_no <> OLD.kind_no)
EXECUTE FUNCTION refuse('the number of a kind never changes');

CREATE TABLE merchants (
  merchant_no bigint PRIMARY KEY,
  mchid text COLLATE "C" NOT NULL UNIQUE,
  app text COLLATE "C" NOT NULL,
  scene text NOT NULL,
  scene_report text NOT NULL,
  remark text NOT NULL
);
CREATE TRIGGER merchants_keep_their_numbers BEFORE UPDATE ON merchants
FOR EACH ROW WHEN (NEW.mchid <> OLD.mchid OR NEW.merchant_no <> OLD.merchant_no)
EXECUTE FUNCTION refuse('the number of a merchant never changes');

CREATE TABLE api_keys (
  id text COLLATE "C" PRIMARY KEY,
  digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
  scopes text NOT NULL,
  created_at bigint NOT NULL,
  revoked_at bigint
);

CREATE TABLE users (
  user_no bigint PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL UNIQUE,
  created_at bigint NOT NULL,
  frozen boolean NOT NULL,
  name bytea
);
CREATE TRIGGER users_keep_their_names BEFORE UPDATE ON users
FOR EACH ROW WHEN (NEW.user_id <> OLD.user_id OR NEW.user_no <> OLD.user_no)
EXECUTE FUNCTION refuse('the number of a user never changes');
CREATE TRIGGER users_are_never_deleted BEFORE DELETE ON users
FOR EACH ROW EXECUTE FUNCTION refuse('a user is never deleted');

CREATE TABLE links (
  user_no bigint PRIMARY KEY REFERENCES users,
  app text COLLATE "C" NOT NULL,
  openid text COLLATE "C" NOT NULL UNIQUE,
  unionid text COLLATE "C",
  scope text NOT NULL,
  tokens bytea NOT NULL,
  linked_at bigint NOT NULL
);

CREATE TABLE link_states (
  digest bytea PRIMARY KEY CHECK (length(digest) = 32),
  user_no bigint NOT NULL REFERENCES users,
  app text COLLATE "C" NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint
);

-- A user's accounts in one row, made with the user, so that it can be locked in the order of
-- the numbers. An account that never moved is NULL. `newest` is the user's newest entry. Pages
-- are left half empty, so that a new version of a row fits beside the old one and no index
-- has to hear of it.
CREATE TABLE user_accounts (
  user_no bigint PRIMARY KEY,
  available_micros bigint
    CONSTRAINT accounts_never_negative CHECK (available_micros >= 0),
  held_micros bigint
    CONSTRAINT accounts_held_never_negative CHECK (held_micros >= 0),
  receivable_micros bigint,
  newest bigint
) WITH (fillfactor = 50);
CREATE TRIGGER user_accounts_are_never_deleted BEFORE DELETE ON user_accounts
FOR EACH ROW EXECUTE FUNCTION refuse('an account is never deleted');

-- Everybody's earnings meet on these accounts, so no row of theirs is ever waited for: a batch
-- adds a delta, and a pass folds deltas into balances. A balance is both together.
CREATE TABLE system_accounts (
  class smallint NOT NULL CHECK (class NOT IN (1, 2, 3)),
  owner bigint NOT NULL,
  balance_micros bigint NOT NULL,
  PRIMARY KEY (class, owner)
);
CREATE TABLE system_deltas (
  batch_no bigint NOT NULL,
  class smallint NOT NULL CHECK (class NOT IN (1, 2, 3)),
  owner bigint NOT NULL,
  delta_micros bigint NOT NULL,
  PRIMARY KEY (batch_no, class, owner)
);
CREATE VIEW system_balances AS
SELECT class, owner, sum(micros)::bigint AS balance_micros FROM (
  SELECT class, owner, balance_micros AS micros FROM system_accounts
  UNION ALL SELECT class, owner, delta_micros FROM system_deltas) AS parts
GROUP BY class, owner;

-- One movement of money each. An entry names the one before it of the user on either side, so
-- that a statement is a walk and no index is needed. An entry that bears an event's name has
-- what the event says beyond its accounts: the kind of a transfer, the whole amount where a part
-- of it is in the next entry, what it takes back, and when the money may be withdrawn.
CREATE TABLE entries (
  seq bigint NOT NULL CHECK (seq > 0),
  debit_owner bigint NOT NULL,
  credit_owner bigint NOT NULL,
  amount_micros bigint NOT NULL CONSTRAINT entries_amount_positive CHECK (amount_micros > 0),
  at bigint NOT NULL,
  debit_prev bigint CONSTRAINT entries_debit_chain_goes_back CHECK (debit_prev < seq),
  credit_prev bigint CONSTRAINT entries_credit_chain_goes_back CHECK (credit_prev < seq),
  occurred_at bigint,
  event_kind bigint,
  event_micros bigint CHECK (event_micros > amount_micros),
  matures_on integer,
  debit_class smallint NOT NULL,
  credit_class smallint NOT NULL,
  cause text COLLATE "C" NOT NULL,
  payout text COLLATE "C",
  source text COLLATE "C",
  event_id text COLLATE "C",
  reverses text COLLATE "C",
  CONSTRAINT entries_event_is_whole CHECK ((source IS NULL) = (event_id IS NULL)),
  PRIMARY KEY (seq)
) PARTITION BY RANGE (seq);
CREATE INDEX entries_by_payout ON entries (payout, seq) WHERE payout IS NOT NULL;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE OR DELETE ON entries
FOR EACH ROW EXECUTE FUNCTION refuse('entries are append-only');
CREATE TRIGGER entries_are_never_emptied BEFORE TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse('entries are append-only');

-- Which partitions of entries there are: each ends before the next begins.
CREATE TABLE rooms (
  room integer PRIMARY KEY CHECK (room > 0),
  first_seq bigint NOT NULL,
  end_seq bigint NOT NULL CHECK (end_seq > first_seq)
);

-- Makes partitions of so many entries until there is room for those below `until`. Attaching one
-- waits for nobody who reads or writes; called by several at once, it makes each once.
CREATE FUNCTION ensure_room(until bigint, entries_each bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  next integer; begins bigint; ends bigint; name text;
BEGIN
  LOCK TABLE rooms IN SHARE ROW EXCLUSIVE MODE;
  SELECT coalesce(max(room), 0) + 1, coalesce(max(end_seq), 1) INTO next, begins FROM rooms;
  WHILE begins < until LOOP
    ends := begins + entries_each;
    name := format('entries_%s', lpad(next::text, 5, '0'));
    EXECUTE format('CREATE TABLE %I (LIKE entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
      name);
    EXECUTE format('ALTER TABLE entries ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
      name, begins, ends);
    EXECUTE format('CREATE TRIGGER entries_are_never_emptied BEFORE TRUNCATE ON %I '
      'FOR EACH STATEMENT EXECUTE FUNCTION refuse(''entries are append-only'')', name);
    INSERT INTO rooms (room, first_seq, end_seq) VALUES (next, begins, ends);
    begins := ends;
    next := next + 1;
  END LOOP;
  RETURN begins;
END
$$;
SELECT ensure_room(2, 32000000);

-- (source, event_id) names an event for ever. The key is the first half of the BLAKE3 of both:
-- sixteen bytes wherever events come from, because this index is the dearest part of a credit.
CREATE TABLE credited (
  event uuid CONSTRAINT earnings_once PRIMARY KEY,
  seq bigint NOT NULL
);
CREATE TRIGGER credited_for_ever BEFORE UPDATE OR DELETE ON credited
FOR EACH ROW EXECUTE FUNCTION refuse('an event that was credited stays so');
CREATE TRIGGER credited_is_never_emptied BEFORE TRUNCATE ON credited
FOR EACH STATEMENT EXECUTE FUNCTION refuse('an event that was credited stays so');

-- How much of an event later events took back.
CREATE TABLE taken_back (
  seq bigint PRIMARY KEY,
  micros bigint NOT NULL CHECK (micros > 0)
);

CREATE VIEW earnings AS
SELECT e.seq AS entry_seq, e.source, e.event_id,
  CASE e.cause WHEN 'claw_back' THEN e.debit_owner ELSE e.credit_owner END AS user_no,
  CASE e.cause WHEN 'claw_back' THEN e.credit_owner WHEN 'transfer' THEN e.event_kind
    ELSE e.debit_owner END AS kind_no,
  coalesce(e.event_micros, e.amount_micros) AS amount_micros, e.occurred_at, e.at AS recorded_at,
  CASE e.cause WHEN 'transfer' THEN e.debit_owner END AS from_user, e.reverses, e.matures_on,
  coalesce(t.micros, 0) AS clawed_micros
FROM entries e LEFT JOIN taken_back t ON t.seq = e.seq WHERE e.source IS NOT NULL;

-- What a user got of a kind with a cap, on the last day on which it was counted.
CREATE TABLE kind_days (
  user_no bigint NOT NULL,
  kind_no bigint NOT NULL,
  day integer NOT NULL,
  count bigint NOT NULL CHECK (count >= 0),
  amount_micros bigint NOT NULL CHECK (amount_micros >= 0),
  PRIMARY KEY (user_no, kind_no)
);

-- What of a user's available balance cools off until a day.
CREATE TABLE cooling (
  user_no bigint NOT NULL,
  day integer NOT NULL,
  amount_micros bigint NOT NULL CHECK (amount_micros >= 0),
  PRIMARY KEY (user_no, day)
);

-- Every commit, in their order, each with the hash of the one before and of its entries.
CREATE TABLE batches (
  batch_no bigint PRIMARY KEY CHECK (batch_no > 0),
  first_seq bigint NOT NULL,
  entries bigint NOT NULL CHECK (entries >= 0),
  hash bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE TRIGGER batches_are_never_changed BEFORE UPDATE OR DELETE ON batches
FOR EACH ROW EXECUTE FUNCTION refuse('batches are append-only');
CREATE TRIGGER batches_are_never_emptied BEFORE TRUNCATE ON batches
FOR EACH STATEMENT EXECUTE FUNCTION refuse('batches are append-only');

-- The end of the chain: one row, locked last by whoever commits. `catalogue` is the batch that
-- last changed a kind.
CREATE TABLE chain_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  batch_no bigint NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  earned_count bigint NOT NULL,
  earned_micros numeric NOT NULL,
  catalogue bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO chain_head (batch_no, seq, hash, earned_count, earned_micros, catalogue)
VALUES (0, 0, decode(repeat('00', 32), 'hex'), 0, 0, 0);

CREATE TABLE payouts (
  payout text COLLATE "C" PRIMARY KEY,
  user_no bigint NOT NULL REFERENCES users,
  merchant_no bigint NOT NULL REFERENCES merchants,
  amount_fen bigint NOT NULL CHECK (amount_fen > 0),
  reference text COLLATE "C" NOT NULL UNIQUE,
  asked text NOT NULL CHECK (asked IN ('request', 'sweep')),
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  version bigint NOT NULL,
  counted_on integer,
  billed_fen bigint NOT NULL,
  state text COLLATE "C" NOT NULL CONSTRAINT payouts_state CHECK (state IN (
    'requested', 'approved', 'sending', 'deferred', 'unknown', 'processing', 'awaiting_user',
    'cancelling', 'paid', 'failed', 'expired', 'cancelled', 'refused')),
  code text,
  package text,
  paid_at bigint,
  paid_on integer,
  CONSTRAINT payouts_paid_has_a_time CHECK ((state = 'paid') = (paid_at IS NOT NULL)),
  CONSTRAINT payouts_paid_has_a_day CHECK ((state = 'paid') = (paid_on IS NOT NULL)),
  CONSTRAINT payouts_code_belongs CHECK (
    (state IN ('deferred', 'unknown', 'failed', 'refused')) = (code IS NOT NULL)),
  CONSTRAINT payouts_package_belongs CHECK (package IS NULL OR state = 'awaiting_user')
);
CREATE INDEX payouts_by_user ON payouts (user_no, payout);
CREATE INDEX payouts_by_state ON payouts (state, payout);
CREATE INDEX payouts_by_paid_day ON payouts (paid_on, payout) WHERE paid_on IS NOT NULL;
-- What a payout was made of stays, and so does everything about one that is final but what
-- bills show for it.
CREATE TRIGGER payouts_keep_what_they_were_made_of BEFORE UPDATE ON payouts
FOR EACH ROW WHEN ((NEW.user_no, NEW.merchant_no, NEW.amount_fen, NEW.reference, NEW.asked,
    NEW.created_at, NEW.payout) IS DISTINCT FROM (OLD.user_no, OLD.merchant_no, OLD.amount_fen,
    OLD.reference, OLD.asked, OLD.created_at, OLD.payout))
EXECUTE FUNCTION refuse('a payout keeps what it was made of');
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE ON payouts
FOR EACH ROW WHEN (OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused')
  AND (NEW.state, NEW.code, NEW.paid_at) IS DISTINCT FROM (OLD.state, OLD.code, OLD.paid_at))
EXECUTE FUNCTION refuse('a final payout never changes its state');
CREATE TRIGGER payouts_are_never_deleted BEFORE DELETE ON payouts
FOR EACH ROW EXECUTE FUNCTION refuse('a payout is never deleted');

-- The order as it is sent, every time. The number is durable before the first byte goes out.
CREATE TABLE attempts (
  payout text COLLATE "C" PRIMARY KEY REFERENCES payouts,
  number text COLLATE "C" NOT NULL UNIQUE,
  mchid text COLLATE "C" NOT NULL,
  app text COLLATE "C" NOT NULL,
  openid text COLLATE "C" NOT NULL,
  amount_fen bigint NOT NULL CHECK (amount_fen > 0),
  scene text NOT NULL,
  scene_report text NOT NULL,
  remark text NOT NULL,
  name bytea,
  canonical text NOT NULL,
  sends bigint NOT NULL,
  asks bigint NOT NULL,
  doubt boolean NOT NULL,
  first_sent_at bigint NOT NULL,
  last_sent_at bigint NOT NULL,
  bill_no text
);
CREATE TRIGGER attempts_order_is_durable BEFORE UPDATE ON attempts
FOR EACH ROW WHEN ((NEW.payout, NEW.number, NEW.mchid, NEW.app, NEW.openid, NEW.amount_fen,
    NEW.scene, NEW.scene_report, NEW.remark, NEW.name, NEW.canonical)
  IS DISTINCT FROM (OLD.payout, OLD.number, OLD.mchid, OLD.app, OLD.openid, OLD.amount_fen,
    OLD.scene, OLD.scene_report, OLD.remark, OLD.name, OLD.canonical))
EXECUTE FUNCTION refuse('an order never changes once it may have been sent');
CREATE TRIGGER attempts_are_never_deleted BEFORE DELETE ON attempts
FOR EACH ROW EXECUTE FUNCTION refuse('an order never changes once it may have been sent');

CREATE TABLE payout_history (
  line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  payout text COLLATE "C" NOT NULL REFERENCES payouts,
  at bigint NOT NULL,
  event text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  code text,
  seen boolean NOT NULL,
  status integer,
  request_id text,
  -- Whatever was seen, byte for byte: a text here could not hold every text.
  body bytea
);
CREATE INDEX payout_history_by_payout ON payout_history (payout, line);

-- What every unfinished payout waits for; leased to one process at a time.
CREATE TABLE work (
  payout text COLLATE "C" PRIMARY KEY REFERENCES payouts,
  queue text COLLATE "C" NOT NULL CHECK (queue IN ('assess', 'send', 'ask', 'cancel')),
  due_at bigint NOT NULL,
  lease_until bigint
);
CREATE INDEX work_by_due ON work (queue, due_at, payout);

CREATE TABLE payout_days (
  user_no bigint NOT NULL,
  day integer NOT NULL,
  count bigint NOT NULL CHECK (count >= 0),
  amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
  PRIMARY KEY (user_no, day)
);

CREATE TABLE idempotency (
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  digest bytea NOT NULL CHECK (length(digest) = 32),
  payout text COLLATE "C" NOT NULL REFERENCES payouts,
  amount_fen bigint NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (scope, key)
);

CREATE TABLE bill_lines (
  merchant_no bigint NOT NULL,
  flow_no text COLLATE "C" NOT NULL,
  day integer NOT NULL,
  booked_at bigint NOT NULL,
  business_no text NOT NULL,
  voucher text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('out', 'in')),
  amount_fen bigint NOT NULL CHECK (amount_fen > 0),
  balance_fen bigint NOT NULL,
  words text NOT NULL,
  matched text NOT NULL CHECK (matched IN ('payout', 'returned', 'top_up', 'unexplained')),
  payout text COLLATE "C",
  entry_seq bigint NOT NULL,
  PRIMARY KEY (merchant_no, flow_no),
  CONSTRAINT bill_lines_payout_belongs
    CHECK ((matched IN ('payout', 'returned')) = (payout IS NOT NULL))
);

CREATE TABLE bills (
  merchant_no bigint NOT NULL,
  day integer NOT NULL,
  sha1 text NOT NULL,
  lines bigint NOT NULL CHECK (lines >= 0),
  out_fen bigint NOT NULL,
  in_fen bigint NOT NULL,
  opening_fen bigint NOT NULL,
  closing_fen bigint NOT NULL,
  fetched_at bigint NOT NULL,
  PRIMARY KEY (merchant_no, day)
);

CREATE TABLE breaks (
  subject text COLLATE "C" PRIMARY KEY,
  kind text NOT NULL,
  day integer NOT NULL,
  difference_fen bigint NOT NULL,
  opened_at bigint NOT NULL,
  closed_at bigint
);

-- Inputs that could not be credited; one that comes again is counted, not kept twice. An index
-- cannot hold an input of four kilobytes, so its BLAKE3 stands for it.
CREATE TABLE dead_letters (
  code text COLLATE "C" NOT NULL,
  digest bytea NOT NULL CHECK (length(digest) = 32),
  raw bytea NOT NULL,
  door text NOT NULL,
  position text NOT NULL,
  at bigint NOT NULL,
  times bigint NOT NULL,
  turn bigint GENERATED BY DEFAULT AS IDENTITY,
  PRIMARY KEY (code, digest)
);
CREATE INDEX dead_letters_by_time ON dead_letters (at, turn);
