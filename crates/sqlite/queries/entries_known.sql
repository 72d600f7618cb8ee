SELECT coalesce(max(known), 0) FROM (
  SELECT max(replay_from, sealed_to) AS known FROM ledger
  UNION ALL SELECT max(stored_to) FROM account_chunks
  UNION ALL SELECT max(entry_seq) FROM payout_entries
  UNION ALL SELECT max(entry_seq) FROM clawed)
