"""Measurements: bench, evaluation on truth, profiles, acceptance."""
