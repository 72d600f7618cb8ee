UPDATE balances SET micros = micros + $2 WHERE user_name = $1
