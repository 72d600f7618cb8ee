# An event twice is one event; a claw-back that the balance does not cover is a debt; a gift is
# somebody's money.
user alice
user bob
earn e1 alice 3.00
earn e1 alice 3.00
earn e1 alice 4.00
gift g1 alice bob 2.00
take-back c1 e1 2.50
expect alice owes 1.50
earn e2 alice 2.00
expect alice 0.50
expect bob 2.00
calm
