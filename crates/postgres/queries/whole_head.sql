SELECT batch_no, seq, hash, earned_count, earned_micros FROM chain_head
