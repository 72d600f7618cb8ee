# WeChat keeps its record late: no record now proves nothing.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat keeps its record late
wechat loses the answer
run dispatch
clock +2s
run poll
expect w1 unknown
expect alice held 3.00
clock +6m
run poll
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
