# A batch is refused for good. That ends nobody: each goes on under a second number, in a smaller batch or
# alone, and the one for whose sake it was refused is refused alone. A refusal after a lost answer proves
# nothing: the batch was accepted the first time.
world careful product1=2 packs1=10 attempts=1
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 1.00
withdraw w2 bob 2.00
run assess
wechat refuses for good
run dispatch
expect w1 approved
expect w2 approved
wechat refuses for good
run dispatch
expect w2 failed
expect w1 processing
clock +1m
run poll
expect w1 paid
withdraw w3 alice 1.50
withdraw w4 bob 1.50
run assess
wechat loses the answer
run dispatch
expect w3 unknown
resend w3 by ann
wechat throttles
run dispatch
expect w3 unknown
expect w4 unknown
clock +1m
run poll
expect w3 paid
expect w4 paid
calm
