"""measure_timing: percentiles of one subject's frames, with the copies around them and without."""

from __future__ import annotations

import numpy as np

from mgdn_edge.runtime.fusion.contract.session import Session, Slot
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.power import EnergyMeter
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.measure.acceptance.accept_result import Timing
from mgdn_edge.runtime.measure.acceptance.subjects import Subject
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, draw_pairs, fuse_pairs
from mgdn_edge.runtime.stream.latency import percentiles
from mgdn_edge.runtime.stream.ledger import span_ns

WARMUP = 10
LONGEST_S = 60.0  # networks of seconds a frame get fewer frames, not an hour
LEAST_FRAMES = 10


def measure_timing(
    session: Session, subject: Subject, frames: int, progress: Progress = SILENT
) -> Timing:
    """Fuse ``frames`` drawn frames one after the other, after WARMUP that do not count."""
    clock = GpuClock(session)
    loop = TimingLoop([fuse_pairs(session, draw_pairs(subject.size), clock.read)])
    loop.warm_up(WARMUP)
    before = read_conditions()
    with EnergyMeter() as meter:
        for _ in loop.take_turns(frames, seconds=LONGEST_S, least=LEAST_FRAMES):
            progress.advance()
    (ledger,) = loop.ledgers
    alone = np.array(clock.times_ns, np.int64) if clock.is_there else span_ns(ledger.rows, "infer")
    return Timing(
        precision=subject.precision,
        size=subject.size_text,
        variant=subject.variant_text,
        with_copies=loop.figures(),
        without_copies=percentiles(alone, loop.warmup),
        alone_by="the GPU's clock" if clock.is_there else "stamps around the network",
        joules=meter.energy.total / len(loop.rows()) if meter.energy else None,
        execution=dict(session.execution),
        conditions=(before, read_conditions()),
    )


class GpuClock:
    """A CUDA session's own time of the network in each frame; other sessions have none."""

    def __init__(self, session: Session) -> None:
        from mgdn_edge.runtime.fusion.cuda.session import CudaSession

        self._session = session if isinstance(session, CudaSession) else None
        self.is_there = self._session is not None
        self.times_ns: list[int] = []

    def read(self, slot: Slot) -> None:
        """Read it of a collected slot."""
        if self._session is not None:
            self.times_ns.append(round(self._session.device_times(slot).infer * 1e6))
