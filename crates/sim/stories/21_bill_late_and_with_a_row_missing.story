# The bill comes late, then without a payout's row: an open break, which closes when the row comes.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
confirm w1
clock +5s
clock +1d
bill late
run bills
bill missing a row
run bills
run all-bills
calm
