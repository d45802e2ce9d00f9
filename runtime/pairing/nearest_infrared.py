"""InfraredAt: the infrared frame that belongs to a moment, out of a stream read along."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mgdn_edge.runtime.capture.clocks.steady_stamps import SteadyStamps
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.pairing.timed_options import PairPolicy
from mgdn_edge.runtime.picture.frame import InfraredFrame

Next = Callable[[], "InfraredFrame | None"]


class NothingYetError(Exception):
    """A live camera has not delivered, and the pair may not wait longer."""


@dataclass(frozen=True, slots=True)
class Timed:
    """An infrared frame and its time on the visible clock."""

    frame: InfraredFrame
    time_ns: int


class InfraredAt:
    """Frames of ``pull`` in order, of which two are kept: the last before a moment, the next after.

    ``nearest`` takes the nearer of both however far; ``drop`` the same if it is within
    ``tolerance_ns``, else nothing; ``hold`` the last one before, held as long as it lasts.
    ``pull`` gives the next frame, None at the end, or raises NothingYetError.
    """

    def __init__(self, pull: Next, clock: ClockFit, policy: PairPolicy, tolerance_ns: int) -> None:
        self.stamps = SteadyStamps()
        self.ended = False
        self._pull = pull
        self._clock = clock
        self._policy = policy
        self._tolerance_ns = tolerance_ns
        self._kept: deque[Timed] = deque()

    def at(self, time_ns: int) -> Timed | None:
        """The frame for a moment of the visible clock, or None; moments must advance."""
        while not self.ended and (not self._kept or self._kept[-1].time_ns < time_ns):
            try:
                frame = self._pull()
            except NothingYetError:
                break
            if frame is None:
                self.ended = True
                break
            stamp = self._clock.on_visible_clock(self.stamps.advance(frame.pts_ns))
            self._kept.append(Timed(frame, stamp))
        while len(self._kept) > 1 and self._kept[1].time_ns <= time_ns:
            self._kept.popleft()
        return self._chosen(time_ns)

    def is_past(self, time_ns: int) -> bool:
        """True where the infrared stream ended more than the tolerance before a moment."""
        last = self._kept[-1].time_ns if self._kept else time_ns
        return self.ended and (not self._kept or time_ns - last > self._tolerance_ns)

    def _chosen(self, time_ns: int) -> Timed | None:
        if not self._kept:
            return None
        if self._policy == "hold":
            return self._kept[0] if self._kept[0].time_ns <= time_ns else None
        nearest = min(self._kept, key=lambda timed: abs(timed.time_ns - time_ns))
        if self._policy == "drop" and abs(nearest.time_ns - time_ns) > self._tolerance_ns:
            return None
        return nearest
