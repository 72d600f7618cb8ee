UPDATE ledger SET replay_from = ?1, sealed_to = ?2, available_micros = ?3, held_micros = ?4,
  owed_micros = ?5, events = ?6, events_micros = ?7
