"""Passwords, tokens and keys: kept out of everything that is shown."""
