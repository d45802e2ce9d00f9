"""When a frame was taken, by whatever clock its camera has."""
