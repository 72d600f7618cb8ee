-- Which process publishes to a sink.
CREATE TABLE sink_leases (
  sink text COLLATE "C" PRIMARY KEY,
  holder text NOT NULL,
  lease_until bigint NOT NULL
);
