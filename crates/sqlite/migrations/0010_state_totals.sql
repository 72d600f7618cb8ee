-- How many payouts are in each state, and their sum: kept, so that nobody has to count them.
CREATE TABLE state_totals (
  state TEXT PRIMARY KEY,
  payouts INTEGER NOT NULL CHECK (payouts >= 0),
  amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO state_totals (state, payouts, amount_fen)
SELECT n.value, (SELECT count(*) FROM payouts WHERE state = n.value),
  (SELECT coalesce(sum(amount_fen), 0) FROM payouts WHERE state = n.value)
FROM json_each('["requested", "review", "approved", "sending", "deferred", "unknown",
  "processing", "awaiting_user", "cancelling", "paid", "failed", "expired", "cancelled",
  "refused"]') AS n;

-- Whoever writes payouts that are born with their holds adds all of a batch at once.
CREATE TRIGGER payouts_join_their_state AFTER INSERT ON payouts WHEN NEW.hold_seq IS NULL
BEGIN
  UPDATE state_totals SET payouts = payouts + 1, amount_fen = amount_fen + NEW.amount_fen
  WHERE state = NEW.state;
END;
CREATE TRIGGER payouts_change_their_state AFTER UPDATE OF state ON payouts
WHEN NEW.state <> OLD.state
BEGIN
  UPDATE state_totals SET payouts = payouts - 1, amount_fen = amount_fen - OLD.amount_fen
  WHERE state = OLD.state;
  UPDATE state_totals SET payouts = payouts + 1, amount_fen = amount_fen + NEW.amount_fen
  WHERE state = NEW.state;
END;
