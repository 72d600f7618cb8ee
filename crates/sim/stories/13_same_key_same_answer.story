# A key is repeated: the first answer. With another request: refused. The answer is lost: the
# payout exists once all the same.
user alice
earn e1 alice 9.00
withdraw w1 alice 3.00
withdraw w1 alice 3.00
withdraw w1 alice 4.00
store commit is not answered
withdraw w2 alice 2.00
retry
expect alice 4.00
expect alice held 5.00
calm
