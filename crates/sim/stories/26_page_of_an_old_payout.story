# It was refused for days until a person had cured the cause. The next send is accepted and its answer
# lost: the user must get the page all the same, although the first send is long ago.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat wants another right
run dispatch
expect w1 deferred
clock +4d
wechat loses the answer
run dispatch
clock +1m
run poll
expect w1 awaiting user
clock +1m
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
