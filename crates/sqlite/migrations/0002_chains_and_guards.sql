-- A user's entries as a chain instead of an index: each entry names the one before it of the
-- same user, and the user's available account names the newest. An index costs one random page
-- per entry; a chain costs two columns of rows that are written anyway.
CREATE TABLE migrations (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  name TEXT NOT NULL,
  sql TEXT NOT NULL
) STRICT;

DROP INDEX entries_by_user;
DROP TRIGGER entries_are_never_changed;
ALTER TABLE entries DROP COLUMN user_no;
ALTER TABLE entries ADD COLUMN debit_prev INTEGER
  CONSTRAINT entries_debit_chain_goes_back CHECK (debit_prev < seq);
ALTER TABLE entries ADD COLUMN credit_prev INTEGER
  CONSTRAINT entries_credit_chain_goes_back CHECK (credit_prev < seq);
ALTER TABLE accounts ADD COLUMN newest INTEGER;

CREATE TEMP TABLE touched (seq INTEGER, owner INTEGER, prev INTEGER, PRIMARY KEY (seq, owner));
INSERT INTO touched
SELECT seq, owner, lag(seq) OVER (PARTITION BY owner ORDER BY seq) FROM (
  SELECT seq, debit_owner AS owner FROM entries WHERE debit_class IN (1, 2)
  UNION SELECT seq, credit_owner FROM entries WHERE credit_class IN (1, 2));
UPDATE entries SET debit_prev = (
  SELECT prev FROM touched t WHERE t.seq = entries.seq AND t.owner = entries.debit_owner)
WHERE debit_class IN (1, 2);
UPDATE entries SET credit_prev = (
  SELECT prev FROM touched t WHERE t.seq = entries.seq AND t.owner = entries.credit_owner)
WHERE credit_class IN (1, 2);
INSERT INTO accounts (class, owner, balance_micros)
SELECT DISTINCT 1, owner, 0 FROM touched WHERE true ON CONFLICT DO NOTHING;
CREATE TEMP TABLE heads AS SELECT owner, max(seq) AS newest FROM touched GROUP BY owner;
UPDATE accounts SET newest = heads.newest FROM heads
WHERE accounts.class = 1 AND accounts.owner = heads.owner;
DROP TABLE heads;
DROP TABLE touched;

CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;

-- What a payout was made of stays, and so does everything about one that is final but what
-- bills show for it.
CREATE TRIGGER payouts_keep_what_they_were_made_of
BEFORE UPDATE OF user_no, merchant_no, amount_fen, reference, asked, created_at ON payouts
WHEN NEW.user_no <> OLD.user_no OR NEW.merchant_no <> OLD.merchant_no
  OR NEW.amount_fen <> OLD.amount_fen OR NEW.reference <> OLD.reference
  OR NEW.asked <> OLD.asked OR NEW.created_at <> OLD.created_at
BEGIN SELECT RAISE(ABORT, 'a payout keeps what it was made of'); END;
DROP TRIGGER payouts_final_is_final;
CREATE TRIGGER payouts_final_is_final BEFORE UPDATE OF state, code, paid_at ON payouts
WHEN OLD.state IN ('paid', 'failed', 'expired', 'cancelled', 'refused')
  AND (NEW.state <> OLD.state OR NEW.code IS NOT OLD.code OR NEW.paid_at IS NOT OLD.paid_at)
BEGIN SELECT RAISE(ABORT, 'a final payout never changes its state'); END;

-- The whole order, the sealed name too; the canonical text has the scene's report in it.
DROP TRIGGER attempts_order_is_durable;
CREATE TRIGGER attempts_order_is_durable BEFORE UPDATE ON attempts
WHEN NEW.number <> OLD.number OR NEW.mchid <> OLD.mchid OR NEW.app <> OLD.app
  OR NEW.openid <> OLD.openid OR NEW.amount_fen <> OLD.amount_fen OR NEW.scene <> OLD.scene
  OR NEW.remark <> OLD.remark OR NEW.name IS NOT OLD.name OR NEW.canonical <> OLD.canonical
BEGIN SELECT RAISE(ABORT, 'an order never changes once it may have been sent'); END;

-- Numbers and names belong together for ever.
CREATE TRIGGER users_keep_their_names BEFORE UPDATE OF user_id ON users
WHEN NEW.user_id <> OLD.user_id
BEGIN SELECT RAISE(ABORT, 'the number of a user never changes'); END;
CREATE TRIGGER kinds_keep_their_codes BEFORE UPDATE OF code ON kinds WHEN NEW.code <> OLD.code
BEGIN SELECT RAISE(ABORT, 'the number of a kind never changes'); END;
CREATE TRIGGER merchants_keep_their_numbers BEFORE UPDATE OF mchid ON merchants
WHEN NEW.mchid <> OLD.mchid
BEGIN SELECT RAISE(ABORT, 'the number of a merchant never changes'); END;
