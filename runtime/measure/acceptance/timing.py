"""measure_timing: percentiles of one subject's frames, with the copies around them and without."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np

from mgdn_edge.runtime.fusion.contract.session import Session, Slot
from mgdn_edge.runtime.machine.conditions import read_conditions
from mgdn_edge.runtime.machine.power import EnergyMeter
from mgdn_edge.runtime.measure.acceptance.accept_result import Timing
from mgdn_edge.runtime.measure.acceptance.subjects import Subject
from mgdn_edge.runtime.measure.bench import SCENES, SEED, draw_pair
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.stream.latency import percentiles

WARMUP = 10
LONGEST_S = 60.0  # networks of seconds a frame get fewer frames, not an hour
LEAST_FRAMES = 10


def measure_timing(
    session: Session, subject: Subject, frames: int, advance: Callable[[float], None]
) -> Timing:
    """Fuse ``frames`` drawn frames one after the other, after WARMUP that do not count."""
    pairs = draw_pairs(subject)
    read_alone, alone_by = choose_clock(session)
    for turn in range(WARMUP):
        fuse_once(session, *pairs[turn % SCENES], read_alone)
    before = read_conditions()
    times: list[tuple[int, int]] = []
    with EnergyMeter() as meter:
        begin = time.monotonic()
        while len(times) < frames:
            times.append(fuse_once(session, *pairs[len(times) % SCENES], read_alone))
            advance(len(times))
            if time.monotonic() - begin > LONGEST_S and len(times) >= LEAST_FRAMES:
                break
    whole, alone = (np.array(column, np.int64) for column in zip(*times, strict=True))
    return Timing(
        precision=subject.precision,
        size=subject.size_text,
        variant=subject.variant_text,
        with_copies=msgspec.structs.replace(percentiles(whole, 0), warmup=WARMUP),
        without_copies=msgspec.structs.replace(percentiles(alone, 0), warmup=WARMUP),
        alone_by=alone_by,
        joules=meter.energy.total / len(times) if meter.energy else None,
        execution=dict(session.execution),
        conditions=(before, read_conditions()),
    )


def draw_pairs(subject: Subject) -> list[tuple[Plane, Plane]]:
    """SCENES different pairs of the subject's size."""
    return [draw_pair(subject.size, SEED + scene) for scene in range(SCENES)]


def choose_clock(session: Session) -> tuple[Callable[[Slot], int], str]:
    """What reads a collected slot's time in the network, in nanoseconds, and whose clock it is."""
    from mgdn_edge.runtime.fusion.cuda.session import CudaSession

    if isinstance(session, CudaSession):
        return (lambda slot: round(session.device_times(slot).infer * 1e6)), "the GPU's clock"
    return (lambda slot: slot.finished_ns - slot.started_ns), "stamps around the network"


def fuse_once(
    session: Session, visible: Plane, infrared: Plane, read_alone: Callable[[Slot], int]
) -> tuple[int, int]:
    """One frame as ``Session.fuse`` does it -> nanoseconds with copies, and of the network."""
    begin = time.perf_counter_ns()
    with session.acquire((visible.shape[0], visible.shape[1])) as slot:
        slot.visible[...] = visible
        slot.infrared[...] = infrared
        session.submit(slot)
        session.collect(slot)
        slot.fused.copy()
        whole = time.perf_counter_ns() - begin
        return whole, read_alone(slot)
