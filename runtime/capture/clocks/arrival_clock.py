"""ArrivalClock: stamps of a camera whose clock is unknown, by when its frames arrive.

Frames arrive late by a varying delay, never early: the smallest difference of arrival and stamp is
the clock's offset and the least delay together. It may rise by a crystal's skew only.
"""

from __future__ import annotations

NS = 1_000_000_000
MOST_SKEW = 200e-6  # two cheap crystals apart
NEW_CLOCK_NS = 2 * NS  # a stamp further off than this is of a restarted or wrapped clock


class ArrivalClock:
    """Stamps in nanoseconds of any clock -> the same moments on the clock of the arrivals."""

    def __init__(self) -> None:
        self._base_ns: float | None = None
        self._last_arrival_ns = 0

    def place(self, stamp_ns: int, arrival_ns: int) -> int:
        """One frame's stamp and arrival -> when it was taken, at ``arrival_ns`` the latest."""
        base = arrival_ns - stamp_ns
        if self._base_ns is None or abs(base - self._base_ns) > NEW_CLOCK_NS:
            self._base_ns = base
        else:
            rise = MOST_SKEW * (arrival_ns - self._last_arrival_ns)
            self._base_ns = min(base, self._base_ns + rise)
        self._last_arrival_ns = arrival_ns
        return stamp_ns + round(self._base_ns)
