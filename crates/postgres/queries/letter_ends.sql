SELECT letter, fate, times, at, event FROM letter_ends ORDER BY letter
