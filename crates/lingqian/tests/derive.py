"""Balances from an export of entries alone, as an auditor would derive them.

Usage: python3 derive.py ENTRIES.csv; prints {"entries": n, "sum_micros": n, "balances": {...}}.
"""

import collections
import csv
import json
import sys

balances = collections.Counter()
entries = moved = 0
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        amount = int(row["amount_micros"])
        balances[f"{row['debit_account']} {row['debit_owner']}".strip()] -= amount
        balances[f"{row['credit_account']} {row['credit_owner']}".strip()] += amount
        entries += 1
        moved += amount
nonzero = {name: balance for name, balance in balances.items() if balance}
print(json.dumps({"entries": entries, "sum_micros": moved, "balances": nonzero}))
