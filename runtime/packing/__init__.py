"""Bundles made, extended and verified."""
