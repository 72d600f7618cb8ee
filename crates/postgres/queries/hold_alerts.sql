UPDATE alert_watch SET holder = holder WHERE one = 1 AND holder = $1
