"""What frames are made of: planes, colour arithmetic, PNG chunks, the drawn test scene."""
