# Three payouts go out in one request. The answer is lost and so is the batch; after ten minutes without a
# record it goes again whole, under the same number. One of it fails and the others are paid. While somebody
# in it is frozen nothing of it goes.
world careful product1=2 packs1=10
user alice
user bob
user carol
earn e1 alice 5.00
earn e2 bob 5.00
earn e3 carol 5.00
withdraw w1 alice 1.00
withdraw w2 bob 2.00
withdraw w3 carol 3.00
run assess
wechat loses the request
run dispatch
expect w1 unknown
expect w3 unknown
cancel w2
clock +15m
run poll
freeze bob
run dispatch
expect w1 unknown
thaw bob
clock +15m
run poll
wechat closes it at once
run dispatch
expect w1 processing
expect w2 processing
clock +1m
run poll
expect w1 paid
expect w2 paid
expect w3 failed
calm
