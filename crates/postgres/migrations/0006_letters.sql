-- What somebody made of dead letters, and how far sources were read and sinks were told.
CREATE TABLE letter_ends (
  letter text COLLATE "C" PRIMARY KEY,
  fate text NOT NULL CHECK (fate IN ('replayed', 'discarded')),
  times bigint NOT NULL,
  at bigint NOT NULL,
  event text NOT NULL
);

CREATE TABLE marks (
  name text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL
);
