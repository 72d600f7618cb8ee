# One process stands still with the order in its hands; its lease ends; another asks and sends. The
# first goes on and sends what is long there.
user alice
earn e1 alice 5.00
start p2
withdraw w1 alice 3.00
run assess
run dispatch ~1:9
pause p1
clock +15m
run poll p2
run dispatch p2
run poll p2
confirm w1
clock +5s
resume p1
expect w1 paid
calm
