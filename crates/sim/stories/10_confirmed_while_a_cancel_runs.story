# The user confirms just before the cancel arrives. WeChat decides, and its word holds.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
run dispatch
cancel w1
wechat hears the user before the cancel
run cancel
clock +5s
run poll
expect w1 paid
calm
