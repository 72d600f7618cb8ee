-- A payout may have several attempts, one after the other; people may be asked before it is
-- sent; and what is stopped, what was done by hand and what each merchant paid in a day is kept.
ALTER TABLE payouts DROP CONSTRAINT payouts_state;
ALTER TABLE payouts ADD CONSTRAINT payouts_state CHECK (state IN (
  'requested', 'review', 'approved', 'sending', 'deferred', 'unknown', 'processing',
  'awaiting_user', 'cancelling', 'paid', 'failed', 'expired', 'cancelled', 'refused'));
ALTER TABLE payouts DROP CONSTRAINT payouts_code_belongs;
ALTER TABLE payouts ADD CONSTRAINT payouts_code_belongs CHECK (
  (state IN ('review', 'deferred', 'unknown', 'failed', 'refused')) = (code IS NOT NULL));
-- How many attempts ended unpaid; the number of the present one ends in one more.
ALTER TABLE payouts ADD COLUMN tries bigint NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 99);
-- Who approved it so far, separated by spaces.
ALTER TABLE payouts ADD COLUMN approvals text;
ALTER TABLE payouts ADD CONSTRAINT payouts_approvals_belong CHECK (
  (state = 'review') = (approvals IS NOT NULL));
DROP TRIGGER payouts_keep_what_they_were_made_of ON payouts;
CREATE TRIGGER payouts_keep_what_they_were_made_of BEFORE UPDATE ON payouts
FOR EACH ROW WHEN ((NEW.user_no, NEW.amount_fen, NEW.reference, NEW.asked, NEW.created_at,
    NEW.payout) IS DISTINCT FROM (OLD.user_no, OLD.amount_fen, OLD.reference, OLD.asked,
    OLD.created_at, OLD.payout)
  -- Who pays is decided when the order is made.
  OR (NEW.merchant_no <> OLD.merchant_no AND OLD.state <> 'approved'))
EXECUTE FUNCTION refuse('a payout keeps what it was made of');
DROP TRIGGER payouts_final_is_final ON payouts;
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE ON payouts
FOR EACH ROW WHEN (OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused')
  AND (NEW.state, NEW.code, NEW.paid_at, NEW.tries)
    IS DISTINCT FROM (OLD.state, OLD.code, OLD.paid_at, OLD.tries))
EXECUTE FUNCTION refuse('a final payout never changes its state');
CREATE TRIGGER payouts_count_their_tries BEFORE UPDATE ON payouts
FOR EACH ROW WHEN (NEW.tries NOT IN (OLD.tries, OLD.tries + 1)
  OR (NEW.tries > OLD.tries AND NEW.state <> 'approved'))
EXECUTE FUNCTION refuse('one attempt of a payout ends at a time');

ALTER TABLE attempts DROP CONSTRAINT attempts_pkey;
ALTER TABLE attempts DROP CONSTRAINT attempts_number_key;
ALTER TABLE attempts ADD PRIMARY KEY (number);

-- A number is that of its payout, and of no attempt before its time.
CREATE FUNCTION attempts_have_their_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF substr(NEW.number, 1, 28) <> 'LQ' || substr(NEW.payout, 4)
    OR substr(NEW.number, 29)::integer
      > (SELECT tries + 1 FROM payouts WHERE payout = NEW.payout) THEN
    RAISE EXCEPTION USING ERRCODE = 'LQ001',
      MESSAGE = 'an order never changes once it may have been sent';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER attempts_have_their_numbers BEFORE INSERT ON attempts
FOR EACH ROW EXECUTE FUNCTION attempts_have_their_numbers();

ALTER TABLE work DROP CONSTRAINT work_queue_check;
ALTER TABLE work ADD CONSTRAINT work_queue_check CHECK (
  queue IN ('assess', 'review', 'send', 'ask', 'cancel'));

ALTER TABLE merchants ADD COLUMN weight bigint NOT NULL DEFAULT 1 CHECK (weight >= 0);
ALTER TABLE merchants ADD COLUMN day_quota_fen bigint CHECK (day_quota_fen >= 0);

-- What merchants were told to pay on a day.
CREATE TABLE merchant_days (
  merchant_no bigint NOT NULL,
  day integer NOT NULL,
  amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
  PRIMARY KEY (merchant_no, day)
);

-- What keeps payouts from leaving, each for one cause, until it is lifted.
CREATE TABLE stops (
  scope text COLLATE "C" NOT NULL,
  cause text COLLATE "C" NOT NULL CHECK (cause IN ('person', 'float', 'audit')),
  actor text NOT NULL,
  reason text NOT NULL,
  since bigint NOT NULL,
  probe_at bigint,
  probes bigint NOT NULL,
  lifted_at bigint,
  PRIMARY KEY (scope, cause)
);

-- What was done by hand, or by the engine in a person's place.
CREATE TABLE deeds (
  deed bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  actor text NOT NULL,
  what text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  before text NOT NULL,
  after text NOT NULL
);
CREATE TRIGGER deeds_are_never_changed BEFORE UPDATE OR DELETE ON deeds
FOR EACH ROW EXECUTE FUNCTION refuse('deeds are append-only');
