# A day's bill is late and the next day is empty. The empty day must not carry a balance over the
# gap: it waits until the day before is closed. (The books once showed bills that did not chain.)
user alice
earn e1 alice 5.00
clock +1d
run bills
withdraw w1 alice 3.00
run assess
run dispatch
confirm w1
clock +5s
clock +2d
bill late
run bills
run bills
calm
