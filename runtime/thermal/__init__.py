"""Thermal cameras: sensor counts to levels without flicker, dead pixels, jumps of gain."""
