SELECT owner, newest FROM accounts WHERE class = 1 ORDER BY owner
