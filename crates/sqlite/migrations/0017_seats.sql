-- Many payouts may go out in one request: the order says in which batch, where, and of how many.
ALTER TABLE attempts ADD COLUMN seat TEXT;
CREATE UNIQUE INDEX attempts_by_seat ON attempts (seat) WHERE seat IS NOT NULL;
-- The canonical text has the seat in it as well; this says it of the column.
CREATE TRIGGER attempts_keep_their_seat BEFORE UPDATE OF seat ON attempts
WHEN NEW.seat IS NOT OLD.seat
BEGIN SELECT RAISE(ABORT, 'an order never changes once it may have been sent'); END;
