# The end is told before the answer to the send, then twice, then again hours later.
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
run assess
wechat closes it at once
notice early
run dispatch
expect w1 failed
withdraw w2 bob 3.00
run assess
run dispatch
notice doubled
confirm w2
clock +5s
expect w2 paid
calm
