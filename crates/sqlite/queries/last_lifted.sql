SELECT max(lifted_at) FROM stops
