SELECT coalesce(max(number), 0), coalesce(max(needs), 0) FROM migrations
