"""Backoff: how long to wait before the next try to connect."""

from __future__ import annotations

FIRST_SECONDS = 0.25
MOST_SECONDS = 5.0


class Backoff:
    """Doubling pauses, from a quarter of a second to five, until a success."""

    def __init__(self) -> None:
        self._seconds = FIRST_SECONDS

    def next_seconds(self) -> float:
        """The pause before the next try."""
        seconds = self._seconds
        self._seconds = min(2 * seconds, MOST_SECONDS)
        return seconds

    def succeeded(self) -> None:
        """Start over with the shortest pause."""
        self._seconds = FIRST_SECONDS
