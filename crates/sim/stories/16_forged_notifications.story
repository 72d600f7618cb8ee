# Somebody says that it was paid: with a false signature, another amount, another receiver, another
# merchant, another number.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
forge signature w1
forge amount w1
forge receiver w1
forge merchant w1
forge number w1
expect w1 awaiting user
expect alice held 3.00
calm
