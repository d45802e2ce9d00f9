"""soak: frames without pause for a minute; what changes between its beginning and its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.machine.conditions import Conditions, read_conditions, throttled
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.text_file import read_text
from mgdn_edge.runtime.measure.acceptance.accept_result import Soak, Window
from mgdn_edge.runtime.measure.acceptance.subjects import Subject
from mgdn_edge.runtime.measure.acceptance.verdict import ClauseFailed, NotMeasured
from mgdn_edge.runtime.measure.timing_loop import TimingLoop, draw_pairs, fuse_pairs
from mgdn_edge.runtime.stream.latency import Percentiles

WINDOWS = 12  # five seconds each of a minute
LEAST_WINDOWS = 3  # a first third, a last third and something between
THIRD = 3
# A clock that a board lowers when hot falls by a fifth or more; p95 of a quiet board stays.
MOST_DRIFT = 1.25
MOST_GROWTH_MIB = 16.0  # a leak of one 640x480 plane a second; allocators settle below it
MIB = 1 << 20


def run_soak(
    session: Session, subject: Subject, seconds: float, progress: Progress = SILENT
) -> tuple[Soak, npt.NDArray[np.int64]]:
    """Fuse without pause -> figures, and (N,) nanoseconds of every frame with its copies.

    ``progress`` advances by seconds. Ctrl-C ends it early: what was measured stays, with
    ``complete`` false.
    """
    run = fuse_pairs(session, draw_pairs(subject.size))
    before = read_conditions()
    windows: list[Window] = []
    times = [np.zeros(0, np.int64)]
    reasons: set[str] = set()
    begin, told, complete = time.monotonic(), 0.0, True
    try:
        for window in range(1, WINDOWS + 1):
            loop = TimingLoop([run])  # one for each, so that no rows pile up beside what is judged
            left = begin + seconds * window / WINDOWS - time.monotonic()
            try:
                for _ in loop.take_turns(seconds=left):
                    gone = time.monotonic() - begin
                    progress.advance(gone - told)
                    told = gone
            finally:
                times.append(loop.times_ns())
            if len(times[-1]):
                now = read_conditions()
                reasons.update(reason for gpu in now.gpus for reason in gpu.throttle_reasons)
                windows.append(_close_window(time.monotonic() - begin, loop.figures(), now))
    except KeyboardInterrupt:
        complete = False
    after, gone = read_conditions(), time.monotonic() - begin
    times_ns = np.concatenate(times)
    counts = throttled(before, after) if after.throttle_counts else None
    reasons.update(reason for gpu in after.gpus for reason in gpu.throttle_reasons)
    soak = Soak(
        subject=subject.label,
        asked_seconds=seconds,
        seconds=gone,
        frames=len(times_ns),
        fps=len(times_ns) / gone if gone > 0 else 0.0,
        windows=tuple(windows),
        drift=measure_drift([window.times.p95 for window in windows]),
        growth_mib=measure_growth([window.resident_mib for window in windows]),
        throttled=counts if counts is not None or not after.gpus else {},
        gpu_reasons=tuple(sorted(reasons)),
        conditions=(before, after),
        complete=complete,
    )
    return soak, times_ns


def measure_drift(values: Sequence[float]) -> float | None:
    """Median of the last third over that of the first; None for too few windows."""
    third = len(values) // THIRD
    if len(values) < LEAST_WINDOWS:
        return None
    return float(np.median(values[-third:]) / np.median(values[:third]))


def measure_growth(mib: Sequence[float]) -> float | None:
    """Last window's memory less the first's, after which allocators have what they reuse."""
    return mib[-1] - mib[0] if len(mib) >= LEAST_WINDOWS else None


def judge_latency(soak: Soak) -> str:
    """A sentence on the drift; ClauseFailed where it is too large."""
    drift = _measured(soak, soak.drift)
    text = (
        f"p95 of the last third is {drift:.2f} times that of the first, "
        f"{soak.frames} frames in {soak.seconds:.0f} s, {soak.fps:.1f} fps"
    )
    if drift > MOST_DRIFT:
        raise ClauseFailed(f"{text}; {MOST_DRIFT} is allowed")
    return text


def judge_memory(soak: Soak) -> str:
    """A sentence on this process's memory; ClauseFailed where it grew too much."""
    growth = _measured(soak, soak.growth_mib)
    text = f"resident memory changed by {growth:+.1f} MiB"
    if growth > MOST_GROWTH_MIB:
        raise ClauseFailed(f"{text}; {MOST_GROWTH_MIB:.0f} is allowed")
    return text


def judge_throttling(soak: Soak) -> str:
    """A sentence on throttling and heat; ClauseFailed where anything throttled."""
    heat = describe_heat(soak)
    if soak.throttled is None:
        raise NotMeasured(f"this machine shows no throttling counters; {heat}")
    _measured(soak, 0.0)
    events = [f"{name} {count} times" for name, count in soak.throttled.items()]
    events += soak.gpu_reasons
    if events:
        raise ClauseFailed(f"{', '.join(events)}; {heat}; cool the board or lower its power mode")
    return f"none; {heat}"


def describe_heat(soak: Soak) -> str:
    """The hottest sensor's way from beginning to end."""
    seen = [window.hottest for window in soak.windows if window.hottest is not None]
    if not seen:
        return "no temperature is readable here"
    return f"the hottest sensor went from {seen[0]:.0f} to {seen[-1]:.0f} °C, {max(seen):.0f} most"


def resident_bytes(root: Path = Path("/")) -> int:
    """Resident memory of this process; ``root`` is where /proc is."""
    for line in read_text(root / "proc/self/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024  # the file's kB are KiB
    return 0


def _close_window(second: float, times: Percentiles, now: Conditions) -> Window:
    heat = [*now.temperatures.values(), *(gpu.celsius for gpu in now.gpus)]
    return Window(
        second=second,
        times=times,
        resident_mib=resident_bytes() / MIB,
        hottest=max(heat, default=None),
    )


def _measured(soak: Soak, value: float | None) -> float:
    if not soak.complete:
        raise NotMeasured(f"interrupted after {soak.seconds:.0f} of {soak.asked_seconds:.0f} s")
    if value is None:
        raise NotMeasured(
            f"{soak.asked_seconds:.0f} s gave {len(soak.windows)} windows with a frame in them, "
            f"{LEAST_WINDOWS} are needed; pass a longer --soak"
        )
    return value
