# The user's wallet takes no more today. Once WeChat says so the payout goes on tomorrow under a new
# number, and not before.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
close w1 DAY_RECEIVED_QUOTA_EXCEED
clock +5s
expect w1 approved
expect alice held 3.00
run dispatch
clock +1d
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
