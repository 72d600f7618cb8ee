"""The books, checked by somebody else: the bytes of crates/sqlite/FORMAT.md, read in plain Python.

Usage: python3 audit.py BOOKS.db [SANDBOX_JOURNAL.jsonl]; prints what is wrong and ends with 1.
Hashes are checked where the package blake3 is installed.
"""

import collections
import json
import sqlite3
import struct
import sys

try:
    from blake3 import blake3
except ImportError:
    blake3 = None

MICROS_PER_FEN = 10_000
FINAL = ("paid", "failed", "expired", "cancelled", "refused")
CAUSES = (
    "earn hold settle release bill_out bill_return top_up unexplained transfer claw_back owe repay"
).split()
USERS = (1, 2, 3)  # available, held, receivable
RECORD = struct.Struct("<BBBBIIiqqqq6s6sI")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Entry = collections.namedtuple(
    "Entry",
    "seq debit credit cause amount at occurred matures balance debit_prev credit_prev"
    " event reverses kind payout counted",
)

books = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
books.execute("BEGIN")
wrong = []


def rows(query, *values):
    return books.execute(query, values).fetchall()


def one(query, *values):
    return rows(query, *values)[0][0]


def must(name, good, found=""):
    if not good:
        wrong.append(f"{name}: {found}")


sources = dict(rows("SELECT source_no, source FROM sources"))


def ulid(number):
    return "".join(CROCKFORD[(number >> 5 * place) & 31] for place in reversed(range(26)))


SIZES = (0, 1, 2, 3, 4, 5, 6, 8)


def numbers(count, data, at):
    """So many numbers of varying length, and where the next bytes begin."""
    (sizes,) = struct.unpack_from("<H", data, at)
    at, found = at + 2, []
    for place in range(count):
        size = SIZES[(sizes >> (3 * place)) & 7]
        found.append(int.from_bytes(data[at : at + size], "little"))
        at += size
    return found, at


def zigzag(number):
    return (number >> 1) ^ -(number & 1)


def event_id(form, text):
    if form == 0:
        length = text[0]
        return text[1 : 1 + length].decode(), text[1 + length :]
    name = text[:16].hex()
    if form == 1:
        name = "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
    return name, text[16:]


def named(flags, text):
    """The entry that is taken back, the kind and the payout."""
    reverses = kind = payout = None
    if flags & 8:
        reverses, text = int.from_bytes(text[:8], "little"), text[8:]
    if flags & 16:
        kind, text = int.from_bytes(text[:4], "little"), text[4:]
    if flags & 4:
        payout = "po_" + ulid(int.from_bytes(text[:16], "little"))
    return reverses, kind, payout


def kind_of(event, kind, debit, credit):
    if event and kind is None:
        return debit[1] if debit[0] == 10 else credit[1] if credit[0] == 10 else None
    return kind


def fixed(body, first, count):
    """Entries of the first form."""
    texts = body[count * RECORD.size :]
    for seq, record in enumerate(RECORD.iter_unpack(body[: count * RECORD.size]), first):
        dc, cc, cause, flags, do, co, matures, amount, at, occurred, balance, dp, cp, place = record
        text, event = texts[place:], None
        if flags & 2:
            source = sources[int.from_bytes(text[:3], "little")]
            event, text = event_id(text[3], text[4:])
            event = (source, event)
        reverses, kind, payout = named(flags, text)
        prevs = [int.from_bytes(prev, "little") for prev in (dp, cp)]
        happened = occurred if flags & 1 else None
        kind = kind_of(event, kind, (dc, do), (cc, co))
        yield Entry(seq, (dc, do), (cc, co), CAUSES[cause], amount, at, happened, matures or None,
                    balance, *prevs, event, reverses, kind, payout, bool(flags & 32))


def dense(body, first, count):
    """Entries of the second form."""
    shapes, moment = body[1], int.from_bytes(body[2:10], "little", signed=True)
    places = 10 + 16 * shapes
    records = places + 2 * count
    for seq in range(first, first + count):
        (begin,) = struct.unpack_from("<H", body, places + 2 * (seq - first))
        begin += records
        shape = body[10 + 16 * body[begin] :]
        dc, cc, cause, flags, do, co = struct.unpack_from("<BBBBII", shape)
        (amount, balance, since, back, after), at = numbers(5, body, begin + 1)
        prevs = [0, 0]
        if dc in USERS or cc in USERS:
            user, same = int.from_bytes(body[at : at + 4], "little"), co
            at += 4
            prev = seq - back if back else 0
            if dc in USERS:
                do, prevs[0] = user, prev
                if cc in USERS and same == 0xFFFFFFFF:
                    co, prevs[1] = user, prev
                elif cc in USERS:
                    co, other = struct.unpack_from("<IQ", body, at)
                    at, prevs[1] = at + 12, seq - other if other else 0
            else:
                co, prevs[1] = user, prev
        matures = None
        if flags & 128:
            (matures,) = struct.unpack_from("<i", body, at)
            at += 4
        text, event = body[at:], None
        if flags & 2:
            source = sources[int.from_bytes(shape[12:15], "little")]
            event, text = event_id(shape[15], text)
            event = (source, event)
        reverses, kind, payout = named(flags, text)
        kind = kind_of(event, kind, (dc, do), (cc, co))
        recorded = moment + zigzag(after)
        happened = recorded - zigzag(since) if flags & 1 else None
        yield Entry(seq, (dc, do), (cc, co), CAUSES[cause], amount, recorded, happened, matures,
                    balance, *prevs, event, reverses, kind, payout, bool(flags & 32))


def entries():
    """Every entry; the numbers of pages and their hashes are checked on the way."""
    head, due = bytes(32), 1
    for first, count, stored, body in books.execute(
        "SELECT first_seq, count, hash, body FROM pages ORDER BY first_seq"
    ):
        must("L4 gap", first == due, (due, first))
        if blake3:
            packed = struct.pack("<QQ", first, count)
            must("L4 hash", blake3(head + packed + body).digest() == stored, first)
        head, due = stored, first + count
        yield from (dense if body[0] == 0xFF else fixed)(body, first, count)


# L1, L3: every balance is the sum of its entries, and all add up to zero.
sums = collections.Counter()
chunks = {}
for chunk, stored_to, form, body in rows(
    "SELECT chunk, stored_to, form, body FROM account_chunks"
):
    at = 0
    for place in range(256):
        if form >= 2:
            account, at = numbers(4, body, at)
        else:
            account, at = struct.unpack_from("<qqqQ", body, at), at + 32
        chunks[chunk * 256 + place] = [stored_to, *account]
    if form < 3:
        days, cooling = struct.unpack_from("<II", body, at)
        at += 8 + 22 * days + 14 * cooling
    else:
        (some,), at = numbers(1, body, at)
        for _ in range(some):
            (place, days, cooling), at = numbers(3, body, at)
            must("chunk", place < 256 and days + cooling > 0, chunk)
            for _ in range(days):
                _, at = numbers(4, body, at)
            for _ in range(cooling):
                _, at = numbers(2, body, at)
    must("chunk", len(body) == at, chunk)
newest = {}
events = {}
amounts = {}
taken = collections.Counter()
causes = collections.defaultdict(list)
of_payout = set()
last = 0
before = None
for entry in entries():
    seq, last = entry.seq, entry.seq
    must("amount", entry.amount > 0, seq)
    for account, amount in ((entry.debit, -entry.amount), (entry.credit, entry.amount)):
        sums[account] += amount
        # L2: no user account below zero at any moment.
        must("L2 negative", account[0] not in (1, 2) or sums[account] >= 0, (seq, account))
        if account[0] in USERS:
            kept = chunks.setdefault(account[1], [0, 0, 0, 0, 0])
            if kept[0] < seq:
                kept[account[0]] += -amount if account[0] == 3 else amount
                kept[4] = seq
    # The chains of users, and what each could see.
    sides = ((entry.debit, entry.debit_prev), (entry.credit, entry.credit_prev))
    for (kind, owner), prev in sides:
        must("chain", prev == (newest.get(owner, 0) if kind in USERS else 0), seq)
    touched = [owner for kind, owner in (entry.debit, entry.credit) if kind in USERS]
    newest.update((owner, seq) for owner in touched)
    must("seen", entry.balance == (sums[1, touched[0]] if touched else 0), seq)
    # E1, E2: each event once, each with its entry.
    if entry.event:
        must("E2 twice", entry.event not in events, seq)
        must("E1 cause", entry.cause in ("earn", "transfer", "claw_back"), seq)
        events[entry.event] = seq
        amounts[seq] = entry.amount
    else:
        must("E1 orphans", entry.cause not in ("earn", "transfer", "claw_back"), seq)
    if entry.event and entry.cause == "earn":
        must("E1 sides", (entry.debit[0], entry.credit[0]) == (10, 1), seq)
    # C1: a claw-back takes from its event, and the rest becomes a debt with the next entry.
    if entry.cause == "owe" and before is not None:
        taken[before.reverses] += entry.amount
        amounts[before.seq] += entry.amount
    if entry.reverses:
        must("C1 original", entry.reverses in amounts and entry.cause == "claw_back", seq)
        taken[entry.reverses] += entry.amount
    before = entry if entry.reverses else None
    if entry.payout:
        causes[entry.payout, entry.cause].append(entry.amount)
        of_payout.add((entry.payout, seq))
stored = {(c, o): b for c, o, b in rows("SELECT class, owner, balance_micros FROM accounts")}
for owner, (_, available, held, owed, head) in chunks.items():
    stored.update({(1, owner): available, (2, owner): held, (3, owner): -owed})
    must("newest", head == newest.get(owner, 0), owner)
different = {key for key in stored.keys() | sums.keys() if stored.get(key, 0) != sums[key]}
must("L3 balances", not different, different)
must("L1 sum", sum(stored.values()) == 0, sum(stored.values()))
users = {user for (user,) in rows("SELECT user_no FROM users")}
must("users", newest.keys() <= users, newest.keys() - users)

# L4, L5: what the file says of itself.
replay_from, *totals = rows(
    "SELECT replay_from, available_micros, held_micros, owed_micros, events, events_micros FROM ledger"
)[0]
must("L4 known", replay_from <= last, (replay_from, last))
derived = [sum(sum_ for (kind, _), sum_ in sums.items() if kind == wanted) for wanted in USERS]
derived[2] = -derived[2]
must("L5 totals", totals == [*derived, len(events), sum(amounts.values())], totals)
noted = set(rows("SELECT payout, entry_seq FROM payout_entries"))
noted |= set(rows("SELECT payout, hold_seq FROM payouts WHERE hold_seq IS NOT NULL"))
must("payout entries", noted == of_payout, noted ^ of_payout)

# C1: never more taken back than was given, and noted so.
clawed = dict(rows("SELECT entry_seq, amount_micros FROM clawed"))
must("C1 noted", clawed == dict(taken), set(clawed.items()) ^ set(taken.items()))
must("C1 amount", all(back <= amounts[seq] for seq, back in taken.items()), taken)

# L6, P3: one hold each, ended once and rightly.
for payout, state, fen, billed in rows("SELECT payout, state, amount_fen, billed_fen FROM payouts"):
    amount = [fen * MICROS_PER_FEN]
    must("P3 hold", causes[payout, "hold"] == amount, payout)
    must("P3 settle", causes[payout, "settle"] == (amount if state == "paid" else []), payout)
    released = state in FINAL and state != "paid"
    must("P3 release", causes[payout, "release"] == (amount if released else []), payout)
    seen = sum(causes[payout, "bill_out"]) - sum(causes[payout, "bill_return"])
    must("R1 billed", seen == billed * MICROS_PER_FEN, payout)
    waits = one("SELECT count(queue) FROM payouts WHERE payout = ?", payout)
    must("V1 waits", waits == (0 if state in FINAL else 1), payout)

# P1: one number each.
must("P1 number", not rows("SELECT 1 FROM attempts GROUP BY number HAVING count(*) > 1"))

# R1: every line is matched, explained or a break; R4: bills chain.
LINES = """SELECT m.mchid || ':' || l.flow_no, l.matched, l.payout
           FROM bill_lines l JOIN merchants m USING (merchant_no)"""
for flow, matched, payout in rows(LINES):
    if matched in ("payout", "returned"):
        must("R1 matched", one("SELECT count(*) FROM payouts WHERE payout = ?", payout) == 1, flow)
    if matched == "unexplained":
        must("R1 break", one("SELECT count(*) FROM breaks WHERE subject = ?", flow) == 1, flow)
closed = {}
for merchant, day, opening, came_in, out, closing in rows(
    "SELECT merchant_no, day, opening_fen, in_fen, out_fen, closing_fen FROM bills ORDER BY day"
):
    must("R4 movements", opening + came_in - out == closing, day)
    must("R4 chain", closed.get(merchant, opening) == opening, day)
    closed[merchant] = closing

# P2: money at the provider is money in the ledger, by the provider's own record.
if len(sys.argv) > 2:
    states, asked = {}, {}
    for line in open(sys.argv[2], encoding="utf-8"):
        record = json.loads(line)
        if record["record"] == "created":
            asked[record["transfer"]["out_bill_no"]] = record["transfer"]["amount"]
        if record["record"] == "moved":
            states[record["number"]] = record["outcome"]["state"]
        if record["record"] == "payment":
            payment = record["payment"]
            asked[payment["number"]] = payment["amount"]
            states[payment["number"]] = payment["status"]["status"]
        if record["record"] == "batch":
            for item in record["batch"]["items"]:
                asked[item["number"]] = item["amount"]
                states[item["number"]] = item["status"]
        if record["record"] == "packet":
            packet = record["packet"]
            asked["LQ" + packet["number"]] = packet["amount"]
            opened = packet["status"] == "RECEIVED"
            states["LQ" + packet["number"]] = "SUCCESS" if opened else packet["status"]
    theirs = {number: asked[number] for number, state in states.items() if state == "SUCCESS"}
    ours = dict(
        rows(
            "SELECT a.number, p.amount_fen FROM payouts p JOIN attempts a USING (payout) "
            "WHERE p.state = 'paid' AND CAST(substr(a.number, 29) AS INTEGER) = p.tries + 1"
        )
    )
    must("P2 money", theirs == ours, set(theirs.items()) ^ set(ours.items()))

for line in wrong[:50]:
    print(line)
print(f"{last} entries, {len(wrong)} findings{'' if blake3 else ', hashes not checked'}")
sys.exit(1 if wrong else 0)
