SELECT key, replay_from, sealed_to, available_micros, held_micros, owed_micros, events,
  events_micros
FROM ledger
