"""fuse_stream: read, fuse and write overlap; order and time stamps are kept.

Three threads, two channels:

    reader --waiting--> fusion (the caller's thread) --computed--> writer

Fusion registers a pair into a free slot and submits it; the writer collects, so one slot computes
while another is filled or emptied. The slots bound what is in flight.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from mgdn_edge.runtime.alignment.apply.registration import RegisteredPair, Registration, SameGrid
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import Session, Slot
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.output.open_sink import AnySink
from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.pairing.channel import Channel
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.pairing.pairs import Pair, Pairs
from mgdn_edge.runtime.stream.frame_times import Pace
from mgdn_edge.runtime.stream.ledger import Ledger
from mgdn_edge.runtime.stream.observer import Observer

# Enough to ride over one slow decode; more only costs memory and, under Ctrl-C, patience.
LOSSLESS_CAPACITY = 4
SAME_GRID = SameGrid()

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


@dataclass(frozen=True, slots=True)
class _Computed:
    pair: RegisteredPair
    slot: Slot


def fuse_stream(
    pairs: Pairs,
    session: Session,
    sink: AnySink,
    *,
    registration: Registration = SAME_GRID,
    pace: Pace = "none",
    stop: threading.Event | None = None,
    progress: Progress = SILENT,
    observers: Sequence[Observer] = (),
) -> StreamResult:
    """Register and fuse every pair into ``sink``, then close it; the caller closes the rest.

    ``pace`` "none" loses nothing and goes as fast as it can; "source" releases frames by the clip's
    own clock and drops those a newer one has overtaken, as a live source always does. ``stop`` ends
    the stream after the frames already read: a live one is complete then, a recording is kept under
    its partial name. ``progress`` advances by each frame written, on the writer's thread. An error
    in any thread stops all and is raised here, the output kept likewise.
    """
    live = pairs.visible.info.live
    if session.stills_only and pairs.visible.info.time_base is not None:
        raise UserError(
            f"{session.network} scales each picture by its own darkest and brightest value, and "
            f"{pairs.visible.info.uri} is a video, which would flicker; export the network with "
            "--output-range clip"
        )
    if pace == "source" and pairs.visible.info.time_base is None:
        raise UserError(
            f"--pace source needs a clock, and {pairs.visible.info.uri} is a set of images; "
            "pass --pace none"
        )
    stream = _Stream(
        pairs,
        registration,
        session,
        sink,
        pace,
        live,
        stop or threading.Event(),
        progress,
        observers,
    )
    try:
        stream.run()
        # A recording whose last frame was read before the signal came is complete.
        interrupted = stream.stop.is_set() and (live or not stream.has_read(pairs.count))
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
        registration: Registration,
        session: Session,
        sink: AnySink,
        pace: Pace,
        live: bool,
        stop: threading.Event,
        progress: Progress,
        observers: Sequence[Observer],
    ) -> None:
        self.ledger = Ledger()
        self.frames_in = 0
        self.stop = stop
        self._pairs = pairs
        self._registration = registration
        self._session = session
        self._sink = sink
        # A camera keeps its own time; a recording must be held back to it.
        self._held = pace == "source" and not live
        self._paced = pace == "source" or live
        self._progress = progress
        self._observers = observers
        self._waiting: Channel[Pair] = (
            Channel(1, on_drop=self._record_dropped) if self._paced else Channel(LOSSLESS_CAPACITY)
        )
        self._computed: Channel[_Computed] = Channel(None)  # the session's slots bound it
        # A frame submitted behind another would age by one inference before it starts; paced
        # streams wait with the choice instead and lose only the copy's overlap.
        self._free_to_infer = threading.Semaphore(1) if self._paced else None

    def has_read(self, count: int | None) -> bool:
        """Whether all of ``count`` pairs came, where that is known."""
        return count is not None and self.frames_in >= count

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
            slot = self._session.acquire(self._registration.size_of(upcoming))
            try:
                if self._free_to_infer is not None:
                    self._free_to_infer.acquire()
                pair = self._waiting.get()
                if pair is None:
                    slot.release()
                    return
                if (size := self._registration.size_of(pair)) != slot.size:
                    slot.release()
                    slot = self._session.acquire(size)
                registered = self._fill(slot, pair)
                self._session.submit(slot)
            except BaseException:
                slot.release()
                raise
            self._computed.put(_Computed(registered, slot))

    def _fill(self, slot: Slot, pair: Pair) -> RegisteredPair:
        """Both planes into the slot; the pair comes back with the visible frame as shown."""
        pair.stamps.taken_ns = now_ns()
        for observer in self._observers:
            observer.see_pair(pair)
        registered = self._registration.register(pair, slot.visible, slot.infrared)
        pair.stamps.copied_in_ns = now_ns()
        return registered

    def _write(self) -> None:
        try:
            while (computed := self._computed.get()) is not None:
                self._write_frame(computed.pair, computed.slot)
                self._progress.advance()
        finally:
            # A failed writer ends the reader and the fusion; what they still hand over must
            # give its slot back, or fusion would wait for one for ever.
            self._waiting.abort()
            self._let_infer()
            while (computed := self._computed.get()) is not None:
                computed.slot.release()

    def _let_infer(self) -> None:
        if self._free_to_infer is not None:
            self._free_to_infer.release()

    def _write_frame(self, pair: RegisteredPair, slot: Slot) -> None:
        stamps, visible, sink = pair.stamps, pair.visible, self._sink
        with slot:
            self._session.collect(slot)
            self._let_infer()
            stamps.collected_ns = now_ns()
            stamps.infer_begin_ns, stamps.infer_end_ns = slot.started_ns, slot.finished_ns
            picture = sink.copy_out(slot.fused, visible)
            for observer in self._observers:
                observer.see_fused(slot.fused)
        stamps.copied_out_ns = now_ns()
        picture = sink.compose(picture, visible)
        stamps.composed_ns = now_ns()
        encoded = sink.encode(picture, visible)
        stamps.encoded_ns = now_ns()
        lost = sink.lost
        sink.output(encoded)
        stamps.out_ns = now_ns()
        if sink.lost == lost:
            self.ledger.add(stamps)
        else:
            self.ledger.add_dropped(stamps.seq, stamps.pts_ns, stamps.out_ns)
        for observer in self._observers:
            observer.see_written(pair)

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
