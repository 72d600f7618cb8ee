# Silence after a send is not a failure. The same number is asked about, and the page comes with
# the same order again.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat loses the answer
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
