"""What a rig file says, and the remapping of frames by it."""
