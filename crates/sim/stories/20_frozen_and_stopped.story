# A user is frozen after the approval, and everything is stopped: nothing goes out.
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
withdraw w2 bob 3.00
run assess
freeze alice
stop all by ann
run dispatch
clock +2m
run dispatch
lift all by ann
thaw alice
clock +2m
run dispatch
confirm w2
clock +5s
expect w2 paid
calm
