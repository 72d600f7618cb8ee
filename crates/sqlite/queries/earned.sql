SELECT count(*), coalesce(sum(amount_micros), 0) FROM earnings
