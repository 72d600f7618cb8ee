# The order's commit is not answered, or lost. Nothing leaves without knowing that it is durable.
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
run assess
store commit is not answered
run dispatch
expect w1 sending
clock +11m
run poll
clock +1m
run dispatch
withdraw w2 bob 3.00
run assess
store commit is lost
run dispatch
expect w2 approved
clock +3m
run dispatch
confirm w1
confirm w2
clock +5s
expect w1 paid
expect w2 paid
calm
