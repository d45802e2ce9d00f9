"""How the clocks of two recordings differ."""
