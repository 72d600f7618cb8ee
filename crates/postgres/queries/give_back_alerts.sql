UPDATE alert_watch SET holder = '', until = 0 WHERE one = 1 AND holder = $1
