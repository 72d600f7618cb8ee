# The first request arrives after everybody gave up on it and the order was sent again: one number,
# one payment.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat gets the request late
run dispatch
clock +15m
run poll
run dispatch
confirm w1
clock +5s
clock +40m
expect w1 paid
calm
