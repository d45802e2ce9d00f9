"""How far pictures are apart, how good a fused one is, and the gate that decides on both."""
