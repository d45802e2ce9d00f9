"""The clock of live frames: nanoseconds since the program started, the same for every camera.

Cameras state the kernel's monotonic clock (V4L2), the wall clock (RTSP sender reports) or nothing;
each is brought to this one, which is ``time.perf_counter_ns`` less its value at the start.
"""

from __future__ import annotations

import time

START_NS = time.perf_counter_ns()
# CLOCK_MONOTONIC is what V4L2 stamps with; perf_counter is the same clock on Linux today, and the
# differences are taken once so that nothing depends on it.
MONOTONIC_START_NS = time.monotonic_ns() - (time.perf_counter_ns() - START_NS)
WALL_START_NS = time.time_ns() - (time.perf_counter_ns() - START_NS)


def now_ns() -> int:
    """Nanoseconds since the start."""
    return time.perf_counter_ns() - START_NS


def from_monotonic(monotonic_ns: int) -> int:
    """CLOCK_MONOTONIC nanoseconds -> live clock."""
    return monotonic_ns - MONOTONIC_START_NS


def from_wall(wall_ns: int) -> int:
    """Nanoseconds since 1970 -> live clock."""
    return wall_ns - WALL_START_NS


def moment_ns(pts_ns: int) -> int:
    """Live clock -> ``time.perf_counter_ns``, the ledger's."""
    return pts_ns + START_NS
