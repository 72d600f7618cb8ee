# The first answer was lost; the second send is refused for good. That proves nothing about the
# first.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat keeps its record late
wechat loses the answer
run dispatch
clock +11m
wechat is silent to the question
run poll
wechat refuses for good
clock +1h
run poll
run dispatch
expect alice held 3.00
clock +1h
run poll
run dispatch
clock +1m
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
