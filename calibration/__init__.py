"""Ranges, Q/DQ and FP16 candidates measured on frame pairs (needs the ``calibration`` extra)."""
