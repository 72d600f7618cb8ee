-- Ledgers to be compared with, in a schema that goes away with the run.
CREATE SCHEMA lingqian_bench_peers;
SET search_path = lingqian_bench_peers;
SET synchronous_commit = on;

-- As a team writes it first: events, a balance for each user, one for each kind.
CREATE TABLE events (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  event_id text NOT NULL,
  user_name text NOT NULL,
  kind text NOT NULL,
  amount_micros bigint NOT NULL CHECK (amount_micros > 0),
  occurred_at bigint,
  CONSTRAINT event_once UNIQUE (source, event_id)
);
CREATE TABLE balances (
  user_name text PRIMARY KEY,
  micros bigint NOT NULL CHECK (micros >= 0)
);
CREATE TABLE paid_by_kind (
  kind text PRIMARY KEY,
  micros bigint NOT NULL
);

-- Double entry in functions: transfers, two entries each with the balance before and after and
-- the account's version, accounts locked in the order of their numbers.
CREATE TABLE accounts (
  account bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  balance bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  may_be_negative boolean NOT NULL,
  CONSTRAINT never_below_zero CHECK (may_be_negative OR balance >= 0)
);
CREATE TABLE transfers (
  transfer bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  event_id text NOT NULL,
  from_account bigint NOT NULL REFERENCES accounts,
  to_account bigint NOT NULL REFERENCES accounts,
  amount bigint NOT NULL CHECK (amount > 0),
  at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT transfer_once UNIQUE (source, event_id)
);
CREATE TABLE entries (
  entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account bigint NOT NULL REFERENCES accounts,
  transfer bigint NOT NULL REFERENCES transfers,
  amount bigint NOT NULL,
  balance_before bigint NOT NULL,
  balance_after bigint NOT NULL,
  version bigint NOT NULL,
  UNIQUE (account, version)
);

-- One transfer; false when its event is known.
CREATE FUNCTION book(
  event_source text, event text, giver text, receiver text, micros bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  gives accounts; receives accounts; made bigint;
BEGIN
  PERFORM 1 FROM accounts WHERE name IN (giver, receiver) ORDER BY account FOR NO KEY UPDATE;
  SELECT * INTO STRICT gives FROM accounts WHERE name = giver;
  SELECT * INTO STRICT receives FROM accounts WHERE name = receiver;
  INSERT INTO transfers (source, event_id, from_account, to_account, amount)
  VALUES (event_source, event, gives.account, receives.account, micros)
  ON CONFLICT ON CONSTRAINT transfer_once DO NOTHING RETURNING transfer INTO made;
  IF made IS NULL THEN
    RETURN false;
  END IF;
  UPDATE accounts SET balance = balance - micros, version = version + 1
  WHERE account = gives.account;
  UPDATE accounts SET balance = balance + micros, version = version + 1
  WHERE account = receives.account;
  INSERT INTO entries (account, transfer, amount, balance_before, balance_after, version)
  VALUES
    (gives.account, made, -micros, gives.balance, gives.balance - micros, gives.version + 1),
    (receives.account, made, micros, receives.balance, receives.balance + micros,
      receives.version + 1);
  RETURN true;
END
$$;

-- Many, in their order, all or nothing; tells how many were new.
CREATE FUNCTION book_many(
  sources text[], events text[], givers text[], receivers text[], amounts bigint[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  booked bigint := 0;
BEGIN
  PERFORM 1 FROM accounts WHERE name = ANY (givers || receivers)
  ORDER BY account FOR NO KEY UPDATE;
  FOR place IN 1 .. cardinality(events) LOOP
    IF book(sources[place], events[place], givers[place], receivers[place], amounts[place]) THEN
      booked := booked + 1;
    END IF;
  END LOOP;
  RETURN booked;
END
$$;
