SELECT batch_no, first_seq, entries, hash FROM batches WHERE batch_no > $1
ORDER BY batch_no LIMIT $2
