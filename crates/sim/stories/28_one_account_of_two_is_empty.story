# Two merchants share the work. One of them has no money: it stops, the other one goes on, and what
# was accepted by the other does not start the first again. Then the account is filled.
world weight1=1 quota1=-1 weight2=1 quota2=-1 float=0
user alice
user bob
earn e1 alice 20.00
earn e2 bob 20.00
withdraw w1 alice 1.00
withdraw w2 bob 1.00
withdraw w3 alice 1.00
withdraw w4 bob 1.00
run assess
run dispatch
withdraw w5 alice 1.00
withdraw w6 bob 1.00
run assess
run dispatch
expect w5 awaiting user
expect w6 awaiting user
float +50.00
clock +31s
run dispatch
run wake
run dispatch
expect w1 awaiting user
expect w2 awaiting user
expect w3 awaiting user
expect w4 awaiting user
calm
