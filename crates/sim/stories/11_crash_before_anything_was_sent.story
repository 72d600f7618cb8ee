# The process dies right after the payout was made, and again after the order became durable. What
# was created is found again, and the order goes out once.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
crash p1
start p1
run assess
crash dispatch at 6
expect w1 sending
start p1
clock +1m
run poll
clock +15m
run poll
run dispatch
confirm w1
clock +5s
expect w1 paid
calm
