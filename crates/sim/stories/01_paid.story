# The plain way: money is earned, asked for, sent, confirmed and paid.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
confirm w1
clock +5s
expect w1 paid
expect alice 2.00
calm
