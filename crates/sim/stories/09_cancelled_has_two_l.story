# The user changes their mind; the notification is lost. The question must understand WeChat's word.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
cancel w1
notice dropped
run cancel
clock +1m
run poll
expect w1 cancelled
expect alice 5.00
calm
