"""The gate: may a candidate of lower precision take the place of the float32 network?

Measured on frames the calibration has not seen, against the float32 network's own pictures. A
candidate that fails is refused with a sentence for each limit; one that passes becomes the default
only where it was measured to be faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.fusion_metrics import FusionMetrics, mean_metrics, measure_fusion
from mgdn_edge.runtime.quality.parity import psnr, ssim

CandidatePrecision = Literal["int8", "fp16"]
NodePrecision = Literal["fp32", "fp16", "int8"]
EQUAL_PSNR = 100.0  # dB counted for frames without any difference, so that means stay finite
RISING_WITH_NOISE = ("ag", "sf", "en")


class GateLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a candidate must keep.

    dB and SSIM against float32; ``brightness``: share of full range by which a frame's mean may
    move; ``metric_loss``: relative, of any mean fusion metric; ``noise_gain``: relative, of AG, SF
    and EN, where more is noise; ``speed``: the largest time over float32's that counts as faster.
    """

    psnr_mean: float = 42.0
    psnr_worst: float = 38.0
    ssim: float = 0.995
    brightness: float = 0.005
    metric_loss: float = 0.02
    noise_gain: float = 0.03
    speed: float = 0.95


class FrameQuality(msgspec.Struct, frozen=True):
    """One frame of a candidate beside float32's; ``shift`` is the mean's move over full range."""

    name: str
    psnr: float
    ssim: float
    shift: float
    wanted: FusionMetrics
    got: FusionMetrics


class QualityFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Over all frames: ``shift`` is the largest by magnitude, ``metrics`` relative changes."""

    frames: int
    psnr_mean: float
    psnr_worst: float
    worst_frame: str
    ssim_mean: float
    ssim_worst: float
    shift: float
    metrics: dict[str, float]


class SpeedFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Milliseconds a frame of ``size``, in turns with float32 on one machine.

    ``ratio`` is the median over turns of candidate over float32. ``processor`` is the class this
    holds for (see ``processor_class``), ``machine`` its name.
    """

    processor: str
    machine: str
    size: str
    turns: int
    fp32_p50: float
    p50: float
    p95: float
    ratio: float


class NodeDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node's precision and why; ``module`` is the dotted torch path it came from."""

    node: str
    module: str
    operator: str
    precision: NodePrecision
    reason: str


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate's verdict: accepted where ``reasons`` is empty.

    ``faster`` is None where the speed was not measured on ``backend``. ``ranges`` is the digest of
    the ranges it was made from.
    """

    precision: CandidatePrecision
    backend: str
    accepted: bool
    reasons: tuple[str, ...]
    method: str
    ranges: str
    quality: QualityFigures
    speed: SpeedFigures | None
    faster: bool | None
    limits: GateLimits
    nodes: tuple[NodeDecision, ...]


def compare_frame(
    name: str,
    pair: tuple[Plane, Plane],
    wanted: Plane,
    got: Plane,
    wanted_metrics: FusionMetrics | None = None,
) -> FrameQuality:
    """(H, W) uint8: visible and infrared, what float32 and what the candidate make of them.

    ``wanted_metrics`` saves measuring float32's again.
    """
    return FrameQuality(
        name=name,
        psnr=min(psnr(got, wanted, 255), EQUAL_PSNR),
        ssim=ssim(got, wanted, 255),
        shift=(float(got.mean()) - float(wanted.mean())) / 255,
        wanted=wanted_metrics or measure_fusion(wanted, *pair),
        got=measure_fusion(got, *pair),
    )


def summarise_quality(frames: Sequence[FrameQuality]) -> QualityFigures:
    """Frames, at least one -> their figures."""
    if not frames:
        raise UserError("no held-out frame was given; the gate judges on at least one")
    worst = min(frames, key=lambda each: each.psnr)
    wanted = mean_metrics([each.wanted for each in frames])
    got = mean_metrics([each.got for each in frames])
    changes = {}
    for name in FusionMetrics.__struct_fields__:
        before, after = getattr(wanted, name), getattr(got, name)
        changes[name] = (after - before) / abs(before) if before else float(after - before)
    return QualityFigures(
        frames=len(frames),
        psnr_mean=float(np.mean([each.psnr for each in frames])),
        psnr_worst=worst.psnr,
        worst_frame=worst.name,
        ssim_mean=float(np.mean([each.ssim for each in frames])),
        ssim_worst=min(each.ssim for each in frames),
        shift=max((each.shift for each in frames), key=abs),
        metrics=changes,
    )


def refusals(quality: QualityFigures, limits: GateLimits) -> tuple[str, ...]:
    """Figures -> one sentence for each limit that is not kept; none where all are."""
    found = []
    if quality.psnr_mean < limits.psnr_mean:
        found.append(
            f"mean PSNR to float32 is {quality.psnr_mean:.2f} dB, {limits.psnr_mean:g} is needed"
        )
    if quality.psnr_worst < limits.psnr_worst:
        found.append(
            f"the worst frame ({quality.worst_frame}) has {quality.psnr_worst:.2f} dB, "
            f"{limits.psnr_worst:g} is needed"
        )
    if quality.ssim_mean < limits.ssim:
        found.append(f"mean SSIM is {quality.ssim_mean:.4f}, {limits.ssim:g} is needed")
    if abs(quality.shift) >= limits.brightness:
        how = "darker" if quality.shift < 0 else "brighter"
        found.append(
            f"a frame is {abs(quality.shift):.2%} {how} in the mean, "
            f"less than {limits.brightness:.2%} is allowed"
        )
    for name, change in quality.metrics.items():
        if change < -limits.metric_loss:
            found.append(
                f"{name.upper()} is {-change:.1%} lower, {limits.metric_loss:.0%} is allowed"
            )
        if name in RISING_WITH_NOISE and change > limits.noise_gain:
            found.append(
                f"{name.upper()} is {change:.1%} higher, which is noise; "
                f"{limits.noise_gain:.0%} is allowed"
            )
    return tuple(found)


def describe_verdict(verdict: Verdict) -> str:
    """One line: accepted or refused, why, the picture's figures and the speed."""
    speed = describe_speed(verdict.speed, verdict.backend)
    if not verdict.accepted:
        return f"refused: {'; '.join(verdict.reasons)}; {speed}"
    default = "the default there" if verdict.faster else "not the default"
    quality = verdict.quality
    return (
        f"accepted, {default}: {quality.psnr_mean:.1f} dB mean, {quality.psnr_worst:.1f} worst, "
        f"SSIM {quality.ssim_mean:.4f} on {quality.frames} held-out frames; {speed}"
    )


def describe_speed(speed: SpeedFigures | None, backend: str) -> str:
    """In words: how long a frame takes beside float32, or that it was not measured."""
    if speed is None:
        return f"speed on {backend} not measured"
    return (
        f"{speed.p50:.1f} ms against float32's {speed.fp32_p50:.1f} at {speed.size} "
        f"({1 / speed.ratio:.2f} times as fast, {speed.processor})"
    )
