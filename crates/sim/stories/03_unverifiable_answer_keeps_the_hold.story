# The answer cannot be verified while the money is already locked at WeChat.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat signs with a strange key
run dispatch
expect w1 unknown
expect alice held 3.00
clock +1m
run poll
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
