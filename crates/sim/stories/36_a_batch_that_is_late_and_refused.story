# A batch is on its way for long, is sent again by hand and refused, and WeChat has no record of it: that
# proves nothing of the first request, which arrives later. Nobody goes on under a second number.
world careful product1=2 packs1=10 attempts=1
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 1.00
withdraw w2 bob 2.00
run assess
wechat gets the request late
run dispatch
expect w1 unknown
resend w1 by ann
wechat refuses for good
run dispatch
expect w1 unknown
expect w2 unknown
run dispatch
clock +1h
run poll
clock +1h
run poll
expect w1 paid
expect w2 paid
calm
