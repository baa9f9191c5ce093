"""Jobs: states, control, journal, commit, and the engine that runs them."""
