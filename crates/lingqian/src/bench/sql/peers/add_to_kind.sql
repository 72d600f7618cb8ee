UPDATE paid_by_kind SET micros = micros + $2 WHERE kind = $1
