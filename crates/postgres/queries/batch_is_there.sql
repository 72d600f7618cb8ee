SELECT 1 FROM batches WHERE batch_no = $1 AND hash = $2
