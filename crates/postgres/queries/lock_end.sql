SELECT batch_no, seq, hash, (SELECT coalesce(max(end_seq), 0) FROM rooms) FROM chain_head
FOR UPDATE OF chain_head
