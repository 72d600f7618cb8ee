INSERT INTO batches (batch_no, first_seq, entries, hash) VALUES ($1, $2, $3, $4)
