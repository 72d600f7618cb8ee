SELECT catalogue FROM chain_head
