# A process stands still with WeChat's answer in its hands. Meanwhile WeChat closes the transfer,
# another process asks and hears that, and the payout ends. Then the first one goes on and tells that
# the user is waited for. (A late word once took a payout back that had ended.)
user alice
earn e1 alice 5.00
start p2
withdraw w1 alice 3.00
run assess
run dispatch ~1:12
pause p1
close w1 ACCOUNT_FROZEN
clock +1m
run poll p2
resume p1
expect w1 failed
calm
