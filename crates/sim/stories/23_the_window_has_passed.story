# It was to be sent again, and then nothing ran for days: WeChat's window for the number has passed,
# so it is asked about and not sent. People prove by the bills that it was never paid.
user alice
earn e1 alice 5.00
withdraw w1 alice 3.00
run assess
wechat loses the request
run dispatch
clock +11m
run poll
clock +3d
run dispatch
expect w1 unknown
expect alice held 3.00
mark-unpaid w1 by ann
expect w1 unknown
calm
expect w1 failed
