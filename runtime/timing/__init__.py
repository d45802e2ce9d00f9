"""Two cameras, two clocks: measuring how they differ, pairing frames by time."""
