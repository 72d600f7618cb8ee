# A large payout needs two people. One of them twice is one.
world review-from=100 second-from=200
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
expect w1 review
approve w1 by ann
approve w1 by ann
expect w1 review
approve w1 by bob
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
