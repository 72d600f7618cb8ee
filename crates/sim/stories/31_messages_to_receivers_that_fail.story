# Two receivers are told what happens. One fails, one takes a message in silence and gets it again,
# and one wants nothing any more until it is turned on again; each hears everything in order.
world hooks=2
user alice
user bob
earn e1 alice 5.00
earn e2 bob 5.00
withdraw w1 alice 3.00
withdraw w2 bob 3.00
hook fails
hook takes it in silence
run notify
run assess
run dispatch
hook never hears
run notify
confirm w1
clock +5s
hook is gone
run notify
clock +10m
run notify
confirm w2
clock +5s
clock +40m
run notify
calm
