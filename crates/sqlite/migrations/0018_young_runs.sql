-- One table in memory tells of all young runs. They have no filters of their own any more.
DELETE FROM id_filters WHERE slot >> 24 IN (SELECT run FROM id_runs WHERE level < 2);
