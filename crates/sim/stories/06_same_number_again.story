# The request never arrived. After ten minutes without a record the same order goes out under the
# same number.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat loses the request
run dispatch
clock +1m
run poll
run dispatch
expect w1 unknown
clock +15m
run poll
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
