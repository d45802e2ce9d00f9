"""fuse_stream: read, fuse and write overlap; order and time stamps are kept.

Three threads, two channels:

    reader --waiting--> fusion (the caller's thread) --computed--> writer

Fusion copies a pair into a free slot and submits it; the writer collects, so one slot computes
while another is filled or emptied. The slots bound what is in flight.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import cv2
import numpy as np

from mgdn_edge.runtime.channel import Channel
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.frame import Plane
from mgdn_edge.runtime.ledger import FrameStamps, Ledger
from mgdn_edge.runtime.pairing import Pair, Pairs
from mgdn_edge.runtime.partial_file import Kept
from mgdn_edge.runtime.session import Session, Slot
from mgdn_edge.runtime.sinks import AnySink

Pace = Literal["none", "source"]

# Enough to ride over one slow decode; more only costs memory and, under Ctrl-C, patience.
LOSSLESS_CAPACITY = 4
UNBOUNDED = 1 << 30

now_ns = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What a stream did. ``frames_in`` = frames out + frames dropped, always.

    ``interrupted`` by ``stop``; ``kept``: what then stays under a partial name.
    """

    ledger: Ledger
    frames_in: int
    frames_out: int
    frames_dropped: int
    interrupted: bool
    kept: Kept | None = None


class FrameKeeper(Protocol):
    """Sees every written frame on the writer's thread, for reports."""

    def hold(self, fused: Plane) -> None:
        """(H, W) uint8 fused luma, which is gone after this call."""

    def decide(self, pair: Pair) -> None:
        """The pair whose fused luma was held last, its stamps complete."""


@dataclass(frozen=True, slots=True)
class _Computed:
    pair: Pair
    slot: Slot


def fuse_stream(
    pairs: Pairs,
    session: Session,
    sink: AnySink,
    *,
    pace: Pace = "none",
    stop: threading.Event | None = None,
    on_frame: Callable[[], None] | None = None,
    keeper: FrameKeeper | None = None,
) -> StreamResult:
    """Fuse every pair into ``sink``, then close it; the caller closes the rest.

    ``pace`` "none" loses nothing and goes as fast as it can; "source" releases frames by the
    clip's own clock and drops those a newer one has overtaken, as a live source always does.
    ``stop`` ends the stream after the frames already read: a live one is complete then, a
    recording is kept under its partial name. ``on_frame`` is called on the writer's thread, as is
    ``keeper``. An error in any thread stops all and is raised here, the output kept likewise.
    """
    live = pairs.visible.info.live
    if pace == "source" and pairs.visible.info.time_base is None:
        raise UserError(
            f"--pace source needs a clock, and {pairs.visible.info.uri} is a set of images; "
            "pass --pace none"
        )
    stream = _Stream(pairs, session, sink, pace, live, stop or threading.Event(), on_frame, keeper)
    try:
        stream.run()
        # A recording whose last frame was read before the signal came is complete.
        interrupted = stream.stop.is_set() and (live or stream.frames_in < pairs.count)
        kept = sink.keep() if interrupted and not live else None
        if not interrupted or live:
            sink.close()
    except BaseException:
        sink.keep()
        raise
    ledger = stream.ledger
    return StreamResult(
        ledger=ledger,
        frames_in=stream.frames_in,
        frames_out=len(ledger.rows),
        frames_dropped=len(ledger.dropped),
        interrupted=interrupted,
        kept=kept,
    )


class _Stream:
    def __init__(
        self,
        pairs: Pairs,
        session: Session,
        sink: AnySink,
        pace: Pace,
        live: bool,
        stop: threading.Event,
        on_frame: Callable[[], None] | None,
        keeper: FrameKeeper | None,
    ) -> None:
        self.ledger = Ledger()
        self.frames_in = 0
        self.stop = stop
        self._pairs = pairs
        self._session = session
        self._sink = sink
        # A camera keeps its own time; a recording must be held back to it.
        self._held = pace == "source" and not live
        self._paced = pace == "source" or live
        self._on_frame = on_frame
        self._keeper = keeper
        self._waiting: Channel[Pair] = (
            Channel(1, on_drop=self._record_dropped) if self._paced else Channel(LOSSLESS_CAPACITY)
        )
        self._computed: Channel[_Computed] = Channel(UNBOUNDED)  # the session's slots bound it
        # A frame submitted behind another would age by one inference before it starts; paced
        # streams wait with the choice instead and lose only the copy's overlap.
        self._free_to_infer = threading.Semaphore(1 if self._paced else UNBOUNDED)

    def run(self) -> None:
        with ThreadPoolExecutor(2, thread_name_prefix="mgdn-stream") as pool:
            reader = pool.submit(self._read)
            writer = pool.submit(self._write)
            try:
                self._fuse()
            finally:
                self._waiting.abort()
                self._computed.close()
        writer.result()
        reader.result()

    def _read(self) -> None:
        try:
            clock = SourceClock(self.stop) if self._held else None
            with closing(self._pairs.read()) as pairs:
                for pair in pairs:
                    if clock is not None:
                        clock.hold(pair.stamps)
                    if self.stop.is_set():
                        return
                    self.frames_in += 1
                    if not self._waiting.put(pair):
                        return
        finally:
            self._waiting.close()

    def _fuse(self) -> None:
        while (upcoming := self._waiting.peek()) is not None:
            # The slot first, the pair after: under "source" a newer one may come meanwhile.
            slot = self._session.acquire(upcoming.size)
            self._free_to_infer.acquire()
            pair = self._waiting.get()
            if pair is None:
                slot.release()
                return
            try:
                pair = self._fill(slot, pair)
                self._session.submit(slot)
            except BaseException:
                slot.release()
                raise
            self._computed.put(_Computed(pair, slot))

    @staticmethod
    def _fill(slot: Slot, pair: Pair) -> Pair:
        """Both planes into the slot; the pair comes back with the visible frame as shown."""
        stamps, infrared = pair.stamps, pair.infrared.plane
        stamps.taken_ns = now_ns()
        alignment = pair.alignment
        if alignment is not None:
            pair = replace(pair, visible=alignment.align_visible(pair.visible))
            alignment.align_infrared(infrared, pair.visible.y, slot.infrared)
            stamps.aligned_ns = now_ns()
        elif infrared.shape != slot.size:
            resize_into(np.asarray(infrared, np.uint8), slot.infrared)
            stamps.aligned_ns = now_ns()
        else:
            stamps.aligned_ns = stamps.taken_ns
            np.copyto(slot.infrared, infrared)
        np.copyto(slot.visible, pair.visible.y)
        stamps.copied_in_ns = now_ns()
        return pair

    def _write(self) -> None:
        try:
            while (computed := self._computed.get()) is not None:
                self._write_frame(computed.pair, computed.slot)
                if self._on_frame is not None:
                    self._on_frame()
        finally:
            # A failed writer ends the reader and the fusion; what they still hand over must
            # give its slot back, or fusion would wait for one for ever.
            self._waiting.abort()
            self._free_to_infer.release()
            while (computed := self._computed.get()) is not None:
                computed.slot.release()

    def _write_frame(self, pair: Pair, slot: Slot) -> None:
        stamps, visible, sink = pair.stamps, pair.visible, self._sink
        with slot:
            self._session.collect(slot)
            self._free_to_infer.release()
            stamps.collected_ns = now_ns()
            stamps.infer_begin_ns, stamps.infer_end_ns = slot.started_ns, slot.finished_ns
            picture = sink.copy_out(slot.fused, visible)
            if self._keeper is not None:
                self._keeper.hold(slot.fused)
        stamps.copied_out_ns = now_ns()
        picture = sink.compose(picture, visible)
        stamps.composed_ns = now_ns()
        encoded = sink.encode(picture, visible)
        stamps.encoded_ns = now_ns()
        sink.output(encoded)
        stamps.out_ns = now_ns()
        self.ledger.add(stamps)
        if self._keeper is not None:
            self._keeper.decide(pair)

    def _record_dropped(self, pair: Pair) -> None:
        self.ledger.add_dropped(pair.stamps.seq, pair.stamps.pts_ns, now_ns())


class SourceClock:
    """Releases recorded frames as a camera would: none before its time stamp."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._start_ns: int | None = None  # when a frame of pts 0 would have been due

    def hold(self, stamps: FrameStamps) -> None:
        """Wait until the frame is due and decoded, and set ``capture_ns`` to its due time.

        A file can be decoded ahead, a camera cannot: decoding is charged from the due time
        on. A reader that is late keeps its true stamps, so the delay shows as reader_wait.
        """
        if self._start_ns is None:
            self._start_ns = stamps.read_ns - stamps.pts_ns
        due_ns = self._start_ns + stamps.pts_ns
        ahead_ns = max(0, due_ns - stamps.read_ns)
        stamps.capture_ns = due_ns
        stamps.read_ns += ahead_ns
        stamps.decoded_ns += ahead_ns
        stamps.paired_ns += ahead_ns
        self._stop.wait(max(0, stamps.paired_ns - now_ns()) / 1e9)


def resize_into(plane: Plane, target: Plane) -> None:
    """(h, w) uint8 -> (H, W) uint8 in place: area means down, linear interpolation up."""
    height, width = target.shape
    shrinks = height * width < plane.shape[0] * plane.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(plane, (width, height), dst=target, interpolation=method)
    if resized is not target:  # OpenCV allocates where the target's memory does not suit it
        np.copyto(target, resized)
