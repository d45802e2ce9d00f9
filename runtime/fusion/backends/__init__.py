"""One module per way of computing a fused plane."""
