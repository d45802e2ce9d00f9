"""SteadyStamps: a camera's stamps through wraps, resets and repeats, always advancing."""

from __future__ import annotations

NS = 1_000_000_000
# Counters that wrap: 32 bits of nanoseconds (4.3 s), 90 kHz ticks (13 h) and microseconds
# (71 min), MPEG-TS's 33 bits of 90 kHz (26 h).
WRAPS_NS = (
    2**32,
    2**32 * 1000,
    2**32 * 100_000 // 9,
    2**33 * 100_000 // 9,
)
MOST_GAP_NS = 2 * NS  # a wrap is one only if the next frame then follows within this
LEAST_RESET_NS = NS // 2  # a smaller step back is disorder, not a restart
USUAL_INTERVAL_NS = NS // 25  # until two frames have told the real one


class SteadyStamps:
    """Stamps in nanoseconds -> stamps that advance, as far as the camera itself tells.

    A step back that fits a known counter's wrap continues across it; another large one is a
    restarted camera, which goes on one usual interval later and is counted in ``resets``; a small
    one advances by a nanosecond.
    """

    def __init__(self) -> None:
        self.resets = 0
        self._last: int | None = None
        self._interval = USUAL_INTERVAL_NS
        self._shift = 0

    def advance(self, pts_ns: int) -> int:
        """The next frame's stamp -> the same moment on a clock that only goes forward."""
        stamp = pts_ns + self._shift
        last = self._last
        if last is not None and stamp <= last:
            back = last - stamp
            wrap = next((w for w in WRAPS_NS if 0 < w - back <= MOST_GAP_NS), None)
            if wrap is not None and back >= LEAST_RESET_NS:
                self._shift += wrap
                stamp += wrap
            elif back >= LEAST_RESET_NS:
                self.resets += 1
                self._shift += last + self._interval - stamp
                stamp = last + self._interval
            else:
                stamp = last + 1
        elif last is not None:
            self._interval = stamp - last
        self._last = stamp
        return stamp
