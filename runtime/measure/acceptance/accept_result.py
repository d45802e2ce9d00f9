"""AcceptReport: everything one acceptance measured, as it is sent back."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.doctor.doctor_report import Finding
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.machine.conditions import Conditions
from mgdn_edge.runtime.measure.acceptance.verdict import (
    INTERRUPTED,
    Clause,
    accept_verdict,
    exit_code,
    is_accepted,
)
from mgdn_edge.runtime.measure.truth_quality import TruthQuality
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.parity import Parity
from mgdn_edge.runtime.quality.precision_verdict import QualityFigures
from mgdn_edge.runtime.stream.latency import Percentiles

SCHEMA = "mgdn.accept/1"


class SubjectParity(msgspec.Struct, frozen=True):
    """One opened subject and how far its picture is from its ``reference``, in levels of 0..255."""

    precision: str
    size: str
    variant: str
    filter_implementation: FilterImplementation | None
    reference: str
    parity: Parity


class Fidelity(msgspec.Struct, frozen=True):
    """Over drawn night frames of the base size.

    ``quality`` is what the gate of lower precisions judges by, ``differing`` the share of pixels
    that are not the reference's. ``refusals`` has a sentence for each limit that is not kept.
    """

    precision: str
    reference: str
    quality: QualityFigures
    differing: float
    truth: TruthQuality
    reference_truth: TruthQuality
    refusals: tuple[str, ...]


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of a frame of one subject.

    ``with_copies``: planes written into a slot, fused, read out of it. ``without_copies``: the
    network alone, by the clock ``alone_by`` names. ``joules`` a frame of the whole board, None
    where nothing measures it. ``conditions`` before and after.
    """

    precision: str
    size: str
    variant: str
    with_copies: Percentiles
    without_copies: Percentiles
    alone_by: str
    joules: float | None
    execution: dict[str, str]
    conditions: tuple[Conditions, Conditions]


class Window(msgspec.Struct, frozen=True):
    """Frames of one part of the soak: their end in seconds, times in ms, memory, temperature."""

    second: float
    times: Percentiles
    resident_mib: float
    hottest: float | None


class Soak(msgspec.Struct, frozen=True):
    """``drift`` is p95 of the last third's windows over that of the first third's, by medians.

    ``growth_mib`` is this process's resident memory from the first window's end to the last's.
    ``throttled`` counts events by kind, None where this machine shows none to count.
    """

    subject: str
    asked_seconds: float
    seconds: float
    frames: int
    fps: float
    windows: tuple[Window, ...]
    drift: float | None
    growth_mib: float | None
    throttled: dict[str, int] | None
    gpu_reasons: tuple[str, ...]
    conditions: tuple[Conditions, Conditions]
    complete: bool


class AcceptReport(msgspec.Struct, frozen=True):
    """``complete`` is false while it runs and where it was interrupted.

    ``stated_quality`` and ``stated_verdicts``, of lower precisions, are what the bundle's manifest
    holds. ``made`` is the start,
    in UTC. What was not reached is among ``clauses`` as not measured.
    """

    schema: str
    verdict: str
    accepted: bool
    complete: bool
    network: str
    bundle_sha256: str
    backend: str
    host: str
    made: str
    command: str
    clauses: tuple[Clause, ...]
    findings: tuple[Finding, ...]
    stated_quality: dict[str, float | str] | None
    stated_verdicts: tuple[str, ...]
    parity: tuple[SubjectParity, ...]
    fidelity: tuple[Fidelity, ...]
    timings: tuple[Timing, ...]
    soak: Soak | None
    versions: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 not, 3 where the device could not do something needed."""
        return exit_code(self.clauses)


class Example(msgspec.Struct, frozen=True):
    """One frame to look at: (H, W) uint8 planes."""

    precision: str
    visible: Plane
    infrared: Plane
    fused: Plane
    reference: Plane


class AcceptResult(msgspec.Struct, frozen=True):
    """A report as far as it is; the example and the soak's (N,) nanoseconds are its page's only."""

    report: AcceptReport
    example: Example | None
    soak_ns: npt.NDArray[np.int64]


def judge(report: AcceptReport) -> AcceptReport:
    """The report with its verdict: accepted only where it is complete and all needed passed."""
    clauses = report.clauses
    subject = f"{report.network} on {report.backend}"
    base = [timing for timing in report.timings if timing.size == "640x480"]
    fastest = min(base, key=lambda timing: timing.with_copies.p50, default=None)
    speed = ""
    if fastest is not None:
        p50 = fastest.with_copies.p50
        speed = f", {p50:.1f} ms a {fastest.size} frame in {fastest.precision}"
    if report.complete:
        text = accept_verdict(clauses, subject, speed)
    else:
        passed = sum(clause.needed and clause.state == "passed" for clause in clauses)
        count = sum(clause.needed for clause in clauses)
        text = (
            f"NOT ACCEPTED: {subject}; incomplete, {INTERRUPTED} when {passed} of {count} needed "
            "clauses had passed"
        )
    return msgspec.structs.replace(
        report, verdict=text, accepted=report.complete and is_accepted(clauses)
    )
