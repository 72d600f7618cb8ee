SELECT batch_no, seq FROM chain_head
