"""TimingLoop: contenders take turns, frame by frame, and every frame is a row of a ledger.

Each contender has its turn before anybody's next frame, so that a busy machine slows them alike
and their ratios hold. Processes of their own, energy, a profiler: callers put around the loop what
they want.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.fusion.contract.session import Session, Slot
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.picture.frame import Plane, Size
from mgdn_edge.runtime.stream.latency import Percentiles, percentiles
from mgdn_edge.runtime.stream.ledger import Ledger

SCENES = 4  # different frames, so that no run is favoured by one picture
SEED = 20260401

# The number of a turn, from 0 -> when its frame was begun and done; None from who has failed.
Run = Callable[[int], FrameStamps | None]


class TimingLoop:
    """``runs`` in their order, or each first in every other turn (``swapping``).

    ``ledgers`` hold a row for each turn, those of the warm-up too; what is read here leaves the
    warm-up out. A frame lasts from ``paired_ns`` to ``copied_out_ns``.
    """

    def __init__(self, runs: Sequence[Run], *, swapping: bool = False) -> None:
        self.ledgers = [Ledger() for _ in runs]
        self.warmup = 0
        self._runs = list(zip(runs, self.ledgers, strict=True))
        self._swapping = swapping
        self._turn = 0

    def warm_up(self, turns: int) -> None:
        """Turns that do not count: they pay for first allocations, caches and clocks."""
        for _ in self.take_turns(turns):
            self.warmup += 1

    def take_turns(
        self, turns: float = math.inf, *, seconds: float = math.inf, least: int = 0
    ) -> Iterator[int]:
        """Take turns and give their number so far after each.

        They end after ``turns``, or once ``seconds`` are over and there were ``least`` of them.
        What the caller does between two turns is in no frame's time.
        """
        begin, done = time.monotonic(), 0
        while done < turns and (done < least or time.monotonic() - begin < seconds):
            order = -1 if self._swapping and self._turn % 2 == 0 else 1
            for run, ledger in self._runs[::order]:
                stamps = run(self._turn)
                if stamps is not None:
                    ledger.add(stamps)
            self._turn += 1
            done += 1
            yield done

    def rows(self, contender: int = 0) -> npt.NDArray[np.void]:
        """(N,) ledger rows of the turns that count."""
        return self.ledgers[contender].rows[self.warmup :]

    def times_ns(self, contender: int = 0) -> npt.NDArray[np.int64]:
        """(N,) int64 nanoseconds of the frames that count."""
        return frame_ns(self.rows(contender))

    def figures(self, contender: int = 0) -> Percentiles:
        """Percentiles of the frames that count; there must be one."""
        return percentiles(frame_ns(self.ledgers[contender].rows), self.warmup)


def frame_ns(rows: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """(N,) ledger rows -> (N,) int64 nanoseconds from two planes to the fused one."""
    times: npt.NDArray[np.int64] = rows["copied_out_ns"] - rows["paired_ns"]
    return times


def fuse_pairs(
    session: Session,
    pairs: Sequence[tuple[Plane, Plane]],
    see_slot: Callable[[Slot], None] = lambda slot: None,
) -> Run:
    """(H, W) uint8 visible and infrared planes, fused one after the other as ``Session.fuse`` does.

    ``see_slot`` is called with each collected slot, when the frame's time is over.
    """

    def run(number: int) -> FrameStamps:
        now_ns = time.perf_counter_ns
        visible, infrared = pairs[number % len(pairs)]
        stamps = FrameStamps(seq=number, paired_ns=now_ns())
        with session.acquire((visible.shape[0], visible.shape[1])) as slot:
            stamps.taken_ns = stamps.aligned_ns = now_ns()
            slot.visible[...] = visible
            slot.infrared[...] = infrared
            stamps.copied_in_ns = now_ns()
            session.submit(slot)
            session.collect(slot)
            stamps.collected_ns = now_ns()
            slot.fused.copy()
            stamps.copied_out_ns = now_ns()
            stamps.infer_begin_ns, stamps.infer_end_ns = slot.started_ns, slot.finished_ns
            see_slot(slot)
        return stamps

    return run


def time_call(call: Callable[[], object]) -> Run:
    """What is not a session's frame, timed as one."""

    def run(number: int) -> FrameStamps:
        begin = time.perf_counter_ns()
        call()
        return FrameStamps(seq=number, paired_ns=begin, copied_out_ns=time.perf_counter_ns())

    return run


def draw_pairs(size: Size) -> list[tuple[Plane, Plane]]:
    """SCENES different pairs of ``size`` (height, width), always the same."""
    return [draw_pair(size, SEED + scene) for scene in range(SCENES)]


def draw_pair(size: Size, seed: int) -> tuple[Plane, Plane]:
    """(height, width), seed -> two (H, W) uint8 planes: smooth structure, edges and noise.

    Same seed, same planes. Not a scene: only what keeps branches and caches honest.
    """
    generator = np.random.default_rng(seed)
    height, width = size
    planes = []
    for _ in range(2):
        coarse = generator.integers(0, 256, (height // 32 + 2, width // 32 + 2), np.uint8)
        smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        column, row = generator.integers(0, width), generator.integers(0, height)
        edges = np.zeros(size, np.int16)
        edges[row : row + height // 4 + 1, column : column + width // 4 + 1] = 80
        noise = generator.normal(0, 4, size)
        planes.append(np.clip(smooth + edges + noise, 0, 255).astype(np.uint8))
    return planes[0], planes[1]
