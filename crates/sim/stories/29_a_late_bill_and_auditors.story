# The bill of a day is late and half booked when its process dies, while that of the next day is
# closed already: no auditor is alarmed, and in the end everything is explained.
user alice
earn e1 alice 10.00
withdraw w1 alice 1.00
run assess
run dispatch
confirm w1
clock +5s
clock +1d
withdraw w2 alice 2.00
run assess
run dispatch
confirm w2
clock +5s
clock +1d
bill late
run bills
run watch
crash bills at 8
start p1
run watch
run bills
run watch
calm
