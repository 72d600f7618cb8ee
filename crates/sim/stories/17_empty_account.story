# The merchant's account is empty. Nothing fails, nothing gets a new number; one payout is tried now
# and then until there is money.
world float=100
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
withdraw w2 bob 3.00
run assess
run dispatch
expect w1 deferred
float +50.00
clock +1m
run dispatch
clock +1m
run dispatch
confirm w1
confirm w2
clock +5s
expect w1 paid
expect w2 paid
calm
