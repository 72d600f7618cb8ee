"""The books, checked by somebody else: plain SQL over the file, no code of the engine.

Usage: python3 audit.py BOOKS.db [SANDBOX_JOURNAL.jsonl]; prints what is wrong and ends with 1.
"""

import collections
import json
import sqlite3
import sys

MICROS_PER_FEN = 10_000
FINAL = ("paid", "failed", "expired", "cancelled", "refused")

books = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
wrong = []


def rows(query, *values):
    return books.execute(query, values).fetchall()


def one(query, *values):
    return rows(query, *values)[0][0]


def must(name, good, found=""):
    if not good:
        wrong.append(f"{name}: {found}")


# L1, L3: every balance is the sum of its entries, and all add up to zero.
sums = collections.Counter()
running = collections.Counter()
for seq, dc, do, cc, co, amount in rows(
    "SELECT seq, debit_class, debit_owner, credit_class, credit_owner, amount_micros"
    " FROM entries ORDER BY seq"
):
    sums[dc, do] -= amount
    sums[cc, co] += amount
    # L2: no user account below zero at any moment.
    must("L2 negative", dc not in (1, 2) or sums[dc, do] >= 0, (seq, dc, do))
stored = {(c, o): b for c, o, b in rows("SELECT class, owner, balance_micros FROM accounts")}
must("L3 balances", stored == dict(sums), set(stored.items()) ^ set(sums.items()))
must("L1 sum", sum(stored.values()) == 0, sum(stored.values()))

# L4: no gap.
must("L4 gap", one("SELECT coalesce(max(seq), 0) FROM entries") == one("SELECT count(*) FROM entries"))

# L5, E1, E2: each event once, each with its one entry.
must("E2 twice", not rows("SELECT 1 FROM earnings GROUP BY source, event_id HAVING count(*) > 1"))
must(
    "E1 entry",
    not rows(
        "SELECT n.entry_seq FROM earnings n LEFT JOIN entries e ON e.seq = n.entry_seq"
        " WHERE e.seq IS NULL OR e.cause <> 'earn' OR e.amount_micros <> n.amount_micros"
        " OR e.credit_owner <> n.user_no OR e.debit_owner <> n.kind_no"
    ),
)
must("E1 orphans", one("SELECT count(*) FROM entries WHERE cause = 'earn'") == one("SELECT count(*) FROM earnings"))

# L6, P3: one hold each, ended once and rightly.
causes = collections.defaultdict(list)
for payout, cause, amount in rows("SELECT payout, cause, amount_micros FROM entries WHERE payout IS NOT NULL"):
    causes[payout, cause].append(amount)
for payout, state, fen, billed in rows("SELECT payout, state, amount_fen, billed_fen FROM payouts"):
    amount = [fen * MICROS_PER_FEN]
    must("P3 hold", causes[payout, "hold"] == amount, payout)
    must("P3 settle", causes[payout, "settle"] == (amount if state == "paid" else []), payout)
    released = state in FINAL and state != "paid"
    must("P3 release", causes[payout, "release"] == (amount if released else []), payout)
    seen = sum(causes[payout, "bill_out"]) - sum(causes[payout, "bill_return"])
    must("R1 billed", seen == billed * MICROS_PER_FEN, payout)
    waits = one("SELECT count(*) FROM work WHERE payout = ?", payout)
    must("V1 waits", waits == (0 if state in FINAL else 1), payout)

# P1: one number each.
must("P1 number", not rows("SELECT 1 FROM attempts GROUP BY number HAVING count(*) > 1"))

# R1: every line is matched, explained or a break; R4: bills chain.
for flow, matched, payout in rows("SELECT flow_no, matched, payout FROM bill_lines"):
    if matched in ("payout", "returned"):
        must("R1 matched", one("SELECT count(*) FROM payouts WHERE payout = ?", payout) == 1, flow)
    if matched == "unexplained":
        must("R1 break", one("SELECT count(*) FROM breaks WHERE subject = ?", flow) == 1, flow)
before = {}
for merchant, day, opening, came_in, out, closing in rows(
    "SELECT merchant_no, day, opening_fen, in_fen, out_fen, closing_fen FROM bills ORDER BY day"
):
    must("R4 movements", opening + came_in - out == closing, day)
    must("R4 chain", before.get(merchant, opening) == opening, day)
    before[merchant] = closing

# P2: money at the provider is money in the ledger, by the provider's own record.
if len(sys.argv) > 2:
    states, amounts = {}, {}
    for line in open(sys.argv[2], encoding="utf-8"):
        record = json.loads(line)
        if record["record"] == "created":
            amounts[record["transfer"]["out_bill_no"]] = record["transfer"]["amount"]
        if record["record"] == "moved":
            states[record["number"]] = record["outcome"]["state"]
    theirs = {number: amounts[number] for number, state in states.items() if state == "SUCCESS"}
    ours = dict(
        rows("SELECT a.number, p.amount_fen FROM payouts p JOIN attempts a USING (payout) WHERE p.state = 'paid'")
    )
    must("P2 money", theirs == ours, set(theirs.items()) ^ set(ours.items()))

for line in wrong[:50]:
    print(line)
print(f"{len(rows('SELECT 1 FROM entries'))} entries, {len(wrong)} findings")
sys.exit(1 if wrong else 0)
