# Payouts that a stop put off wait a minute to be looked at again. When it is lifted they are due at
# once; a process that died in between finds the lift in the books.
user alice
earn e1 alice 10.00
stop all by ann
withdraw w1 alice 3.00
withdraw w2 alice 2.00
run assess
run dispatch
expect w1 approved
clock +1s
run wake
run dispatch
expect w1 approved
lift all by ann
run dispatch
expect w1 approved
crash wake at 3
start p1
run wake
run dispatch
expect w1 awaiting user
expect w2 awaiting user
confirm w1
confirm w2
calm
