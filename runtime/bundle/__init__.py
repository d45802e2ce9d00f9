"""The ``.mgdn`` bundle: its manifest, reading it safely, creating it reproducibly."""
