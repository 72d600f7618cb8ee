SELECT batch_no, seq, hash, (SELECT coalesce(max(end_seq), 0) FROM rooms), catalogue,
  (SELECT coalesce(max(number), 0) FROM migrations), (SELECT coalesce(max(needs), 0) FROM migrations)
FROM chain_head FOR UPDATE OF chain_head
