"""A rig file, and the remapping of frames by it."""
