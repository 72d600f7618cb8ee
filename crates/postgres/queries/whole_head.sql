SELECT batch_no, seq, hash, earned_count, earned_micros::text FROM chain_head
