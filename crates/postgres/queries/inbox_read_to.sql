SELECT read_to FROM message_reads WHERE user_id = $1
