SELECT event, seq FROM credited
