# Money that cools off pays a debt first, and only the rest cools. When that earning is taken back, as
# much goes out of what cools as it had there; what another one brought stays until its day. (What was
# taken back once let all of its amount go, and money of others with it.)
world careful
user alice
user bob
earn e1 alice 3.00
gift g1 alice bob 3.00
take-back c1 e1 3.00
expect alice owes 3.00
earn o2 alice 5.00
earn o3 alice 4.00
take-back c2 o2 3.00
earn e4 alice 2.00
expect alice 5.00
withdraw w1 alice 2.00
withdraw w2 alice 1.00
run assess
run dispatch
confirm w2
clock +5s
calm
