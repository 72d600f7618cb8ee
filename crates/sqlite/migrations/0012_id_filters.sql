-- The filters of runs by themselves, of many buckets in a row: whoever opens the file reads all of
-- them, and need not read the ids beside them. Runs that were made before keep theirs in their
-- buckets.
CREATE TABLE id_filters (
  slot INTEGER PRIMARY KEY,
  filter BLOB NOT NULL
) STRICT;
