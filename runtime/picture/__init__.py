"""What frames are made of: planes, colour arithmetic, the drawn test scene."""
