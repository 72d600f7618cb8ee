# WeChat takes a batch although the merchant's account is empty, and closes it a day later because no money
# came. What it says of the batch is true of each payout in it, although the batch's sum is nobody's
# amount: each goes on under its next number and is paid when there is money.
world careful float=100 product1=2 packs1=10 attempts=2
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
withdraw w2 bob 4.00
run assess
run dispatch
expect w1 processing
expect w2 processing
clock +25h
run poll
expect w1 approved
float +50.00
clock +2h
run dispatch
clock +1h
run poll
expect w1 paid
expect w2 paid
calm
