SELECT seq FROM credited WHERE event = $1
