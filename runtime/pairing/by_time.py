"""TimedPairs: every visible frame with the infrared frame of the same moment.

Recordings are read as far as a moment needs. Live cameras are read by two threads; a pair waits
for its infrared frame no longer than the jitter buffer says, and then takes what has come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from typing import Generic, TypeVar

from mgdn_edge.runtime.capture.clocks.live_clock import moment_ns
from mgdn_edge.runtime.capture.clocks.steady_stamps import NS, SteadyStamps
from mgdn_edge.runtime.capture.sources import Source
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.pairing.channel import Channel
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.pairing.nearest_infrared import InfraredAt, NothingYetError, Timed
from mgdn_edge.runtime.pairing.pairs import Pair, Pairs
from mgdn_edge.runtime.pairing.timed_options import TimedOptions
from mgdn_edge.runtime.picture.frame import InfraredFrame, VisibleFrame

F = TypeVar("F", VisibleFrame, InfraredFrame)

USUAL_RATE = Fraction(25)
# Frames a live camera may run ahead of the other before the oldest are lost.
VISIBLE_BUFFER, INFRARED_BUFFER = 2, 8
POLL_SECONDS = 0.2


class TimedPairs(Pairs):
    """Pairs by time stamp.

    ``stop`` ends live pairs though no frame comes. ``unpaired`` counts visible frames left out,
    ``resets`` restarts of either clock so far.
    """

    def __init__(
        self,
        visible: Source[VisibleFrame],
        infrared: Source[InfraredFrame],
        options: TimedOptions,
        *,
        frames: int | None = None,
        resize: bool = False,
        stop: threading.Event | None = None,
    ) -> None:
        for source in (visible, infrared):
            if source.info.time_base is None:
                raise UserError(
                    f"{source.info.uri} is a set of images without a clock; pairing by time needs "
                    "two videos or cameras: leave out --offset, --clock and --pair"
                )
        if frames is not None and frames < 1:
            raise UserError(f"--frames {frames} asks for no frame; give 1 or more")
        super().__init__(visible, infrared, resize=resize)
        known = [frames, visible.info.frames]
        self.count = min((count for count in known if count is not None), default=None)
        self.options = options
        self._stop = stop or threading.Event()
        self.unpaired = 0
        self.resets = 0
        self._feed: Feed[VisibleFrame] | None = None
        self.live = visible.info.live or infrared.info.live
        self._begun: Generator[Pair, None, None] | None = None
        self.first = self._first_pair()
        self.unpaired = 0

    @property
    def overtaken(self) -> int:
        """Visible frames of a live camera that newer ones replaced before they were paired."""
        return 0 if self._feed is None else self._feed.overtaken

    @property
    def tolerance_ns(self) -> int:
        """Half a frame interval of the slower camera."""
        rates = [self.visible.info.rate or USUAL_RATE, self.infrared.info.rate or USUAL_RATE]
        return round(NS / min(rates) / 2)

    def _first_pair(self) -> Pair:
        begun = self._read()
        first = next(begun, None)
        if not self.live:
            begun.close()
        else:  # a camera is opened once: what is read now is handed out by ``read``
            self._begun = begun
        if first is None:
            look = "look at each alone: mgdn cameras" if self.live else "their times do not meet"
            raise UserError(
                f"{self.visible.info.uri} and {self.infrared.info.uri} gave no pair of frames; "
                f"{look}"
            )
        return first

    def read(self) -> Generator[Pair, None, None]:
        """Pairs from the first on, stamped until ``paired_ns``, ``pair_skew_ns`` set.

        Of live sources once only.
        """
        if self._begun is None:
            yield from self._read()
            return
        with closing(self._begun):
            yield self.first
            yield from self._begun

    def _read(self) -> Generator[Pair, None, None]:
        with ExitStack() as stack:
            visible, pull = self._feeds(stack)
            options = self.options
            partner = InfraredAt(pull, options.clock, options.policy, self.tolerance_ns)
            steady = SteadyStamps()
            seq = 0
            while self.count is None or seq < self.count:
                stamps = FrameStamps(seq=seq, read_ns=time.perf_counter_ns())
                frame = visible()
                if frame is None:
                    return
                stamps.decoded_ns = time.perf_counter_ns()
                if self.visible.info.live:  # decoded by another thread, while this one waited
                    stamps.read_ns = stamps.decoded_ns
                    stamps.capture_ns = min(moment_ns(frame.pts_ns), stamps.read_ns)
                else:
                    stamps.capture_ns = stamps.read_ns
                frame = replace(frame, pts_ns=steady.advance(frame.pts_ns))
                timed = partner.at(frame.pts_ns)
                stamps.paired_ns = time.perf_counter_ns()
                self.resets = steady.resets + partner.stamps.resets
                if partner.is_past(frame.pts_ns):
                    return
                if timed is None:
                    self.unpaired += 1
                    continue
                yield self._pair(frame, timed, stamps)
                seq += 1

    def _pair(self, frame: VisibleFrame, timed: Timed, stamps: FrameStamps) -> Pair:
        stamps.pts_ns = frame.pts_ns
        stamps.pair_skew_ns = timed.time_ns - frame.pts_ns
        self._check_sizes(frame, timed.frame)
        return Pair(frame, timed.frame, stamps)

    def _feeds(
        self, stack: ExitStack
    ) -> tuple[Callable[[], VisibleFrame | None], Callable[[], InfraredFrame | None]]:
        if not self.live:
            visible_frames = stack.enter_context(closing(self.visible.frames()))
            infrared_frames = stack.enter_context(closing(self.infrared.frames()))
            return (lambda: next(visible_frames, None)), (lambda: next(infrared_frames, None))
        # A recording beside a camera is not thinned out: it waits until the camera has come as far.
        visible = self._feed = Feed(self.visible, VISIBLE_BUFFER)
        stack.callback(visible.close)
        infrared = Feed(self.infrared, INFRARED_BUFFER)
        stack.callback(infrared.close)
        return (lambda: visible.get_unless(self._stop)), lambda: infrared.get_within(
            self.options.wait_ms / 1e3
        )


def open_pairs(
    visible: Source[VisibleFrame],
    infrared: Source[InfraredFrame],
    timing: TimedOptions | None,
    *,
    frames: int | None,
    shortest: bool,
    resize: bool,
    stop: threading.Event | None = None,
) -> Pairs:
    """Pairs by time where ``timing`` asks for it or a source is live, else by order."""
    if timing is None and not (visible.info.live or infrared.info.live):
        return OrderedPairs(visible, infrared, frames=frames, shortest=shortest, resize=resize)
    return TimedPairs(
        visible,
        infrared,
        timing or TimedOptions(),
        frames=frames,
        resize=resize,
        stop=stop,
    )


class Feed(threading.Thread, Generic[F]):
    """Reads a source ahead; of a live one only the newest ``capacity`` frames wait."""

    def __init__(self, source: Source[F], capacity: int) -> None:
        super().__init__(name=f"mgdn-{source.info.uri}", daemon=True)
        self._source: Source[F] = source
        leaky = source.info.live
        self.overtaken = 0
        self._channel: Channel[F] = Channel(capacity, on_drop=self._forget if leaky else None)
        self._error: BaseException | None = None
        source.before_close(self.close)
        self.start()

    def run(self) -> None:
        """The thread itself: ends with the source, or when its frames are no longer taken."""
        try:
            with closing(self._source.frames()) as frames:
                for frame in frames:
                    if not self._channel.put(frame):
                        return
        except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
            self._error = error
        finally:
            self._channel.close()

    def get(self) -> F | None:
        """The next frame, None at the end; raises what the source raised."""
        frame = self._channel.get()
        if frame is None and self._error is not None:
            raise self._error
        return frame

    def get_unless(self, stop: threading.Event) -> F | None:
        """As ``get``; None too where ``stop`` is set while a dead camera gives nothing."""
        while not self._channel.wait(POLL_SECONDS):
            if stop.is_set():
                return None
        return self.get()

    def get_within(self, seconds: float) -> F | None:
        """As ``get``; raises NothingYetError where nothing comes in time."""
        if not self._channel.wait(seconds):
            raise NothingYetError
        return self.get()

    def close(self) -> None:
        """Stop reading; returns when the thread has ended."""
        self._channel.abort()
        self._source.interrupt()
        self.join()

    def _forget(self, frame: F) -> None:
        self.overtaken += 1
