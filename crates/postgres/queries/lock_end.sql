SELECT batch_no, seq, hash, (SELECT coalesce(max(end_seq), 0) FROM rooms), catalogue
FROM chain_head FOR UPDATE OF chain_head
