# Nothing runs for two days. What was under way before is looked at all the same.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
notice dropped
run dispatch
crash p1
clock +2d
start p1
run poll
expect w1 expired
expect alice 5.00
calm
