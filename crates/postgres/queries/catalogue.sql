SELECT catalogue, batch_no FROM chain_head
