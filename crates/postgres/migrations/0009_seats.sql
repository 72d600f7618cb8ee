-- Many payouts may go out in one request: the order says in which batch, where, and of how many.
ALTER TABLE attempts ADD COLUMN seat text COLLATE "C";
CREATE UNIQUE INDEX attempts_by_seat ON attempts (seat) WHERE seat IS NOT NULL;
-- The canonical text has the seat in it as well; this says it of the column.
CREATE TRIGGER attempts_keep_their_seat BEFORE UPDATE OF seat ON attempts
FOR EACH ROW WHEN (NEW.seat IS DISTINCT FROM OLD.seat)
EXECUTE FUNCTION refuse('an order never changes once it may have been sent');

CREATE OR REPLACE VIEW lingqian_views.attempts AS
SELECT payout, number, mchid, app, amount_fen, scene, remark, sends, asks, doubt,
  lingqian_views.iso(first_sent_at) AS first_sent_at,
  lingqian_views.iso(last_sent_at) AS last_sent_at, bill_no, seat FROM lingqian.attempts;
