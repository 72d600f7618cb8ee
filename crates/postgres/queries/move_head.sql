UPDATE chain_head SET batch_no = $1, seq = $2, hash = $3, earned_count = earned_count + $4,
  earned_micros = earned_micros + $5::bigint,
  catalogue = CASE WHEN $6 THEN $1 ELSE catalogue END
