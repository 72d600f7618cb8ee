# A server's error and a code that nobody knows came after WeChat had accepted. Who takes either
# for a failure pays twice.
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
withdraw w2 bob 3.00
run assess
wechat breaks after accepting
wechat answers with an unknown code
run dispatch
expect w1 unknown
expect w2 unknown
clock +1m
run poll
run dispatch
confirm w1
confirm w2
clock +5s
expect w1 paid
expect w2 paid
calm
