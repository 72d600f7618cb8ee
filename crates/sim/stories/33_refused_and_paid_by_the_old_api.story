# A red packet is called refused, its receiver opens it, and WeChat cannot be asked for days: its answers
# are not signed, so nothing is concluded from one. (Such a refusal was once kept as if nothing had been
# sent; when the time of the payout was over the money returned to the balance, and was paid.)
world product1=4 seed=1
user alice
earn e1 alice 5.00
withdraw w1 alice 2.00
wechat refuses for good
wechat is silent to the question
run assess
run dispatch
expect w1 unknown
confirm w1
clock +5s
clock +8d
run expire
expect w1 unknown
run poll
expect w1 paid
calm
