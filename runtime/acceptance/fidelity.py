"""Fidelity: a session's pictures beside those of float32 on the CPU, and both on drawn truth.

The reference runs every operation as the standard operators of its function body where memory
allows, so it shares no kernel with what is judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import numpy as np

from mgdn_edge.runtime.acceptance.clause import NotMeasured
from mgdn_edge.runtime.acceptance.subjects import BASE_SIZE, REFERENCE_PRECISION
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.engines.memory_need import MIB, available_memory, estimate_need
from mgdn_edge.runtime.evaluate import mean_quality
from mgdn_edge.runtime.frame import Plane
from mgdn_edge.runtime.graph_facts import GraphFacts
from mgdn_edge.runtime.networks import DEFAULT_BACKEND, choose_variant, start_variant
from mgdn_edge.runtime.quality import psnr, ssim
from mgdn_edge.runtime.session import Session
from mgdn_edge.runtime.synthetic import open_rig
from mgdn_edge.runtime.truth_quality import TruthQuality, measure_truth

SCENE = "synthetic://night?seed={seed}&frames=60"
SEEDS = (1, 2)
NUMBERS = (20, 40)  # people and cars have moved on between them
STEPS = len(SEEDS) * (len(NUMBERS) + 2)
EQUAL_PSNR = 100.0  # dB counted for equal pictures, so that means stay finite
# Two and a half times what the estimate counts: measured 3.7 GB where it says 2.2 and less.
MEMORY_MARGIN = 2.5

# Float32 elsewhere moves single pixels by a level (60 dB); 38 dB is a deviation of 3 levels, which
# is seen in flat sky.
LEAST_PSNR = 38.0
LEAST_SSIM = 0.995
MOST_SHIFT = 0.005  # of full range, of a frame's mean: the eye sees brightness jump before noise
# What may be lost on truth; mgdn-edge stands 0.06 above its contrast floor and 0.06 below its
# overshoot ceiling (truth_quality.py), so a third of that is no matter of taste.
MOST_CONTRAST_LOSS = 0.02
MOST_NOISE_RISE = 0.05
MOST_OVERSHOOT_RISE = 0.02


class Fidelity(msgspec.Struct, frozen=True):
    """Over drawn night frames of the base size: dB and SSIM to the reference, worst and mean.

    ``shift`` is the largest move of a frame's mean, as a share of full range. ``refusals`` has a
    sentence for each limit that is not kept.
    """

    precision: str
    reference: str
    frames: int
    psnr_mean: float
    psnr_worst: float
    ssim_worst: float
    shift: float
    differing: float
    truth: TruthQuality
    reference_truth: TruthQuality
    refusals: tuple[str, ...]


class Example(msgspec.Struct, frozen=True):
    """One frame to look at: (H, W) uint8 planes."""

    precision: str
    visible: Plane
    infrared: Plane
    fused: Plane
    reference: Plane


def open_reference(bundle: Bundle, facts: GraphFacts, session: Session) -> tuple[Session, str]:
    """Float32 on the CPU -> its session, which the caller closes, and what it is.

    NotMeasured where memory leaves only the very code that is to be judged.
    """
    variant = choose_variant(bundle.manifest, precision=REFERENCE_PRECISION, size=BASE_SIZE)
    need = estimate_need(facts, BASE_SIZE, variant.file.bytes, 0, "body")
    wanted = round(MEMORY_MARGIN * (need.activations + need.weights))
    free = available_memory()
    if free is None or wanted <= free:
        reference = start_variant(bundle, variant, native=False)
        return reference, "float32 on the CPU in standard operators"
    if session.backend == DEFAULT_BACKEND and session.precision == REFERENCE_PRECISION:
        raise NotMeasured(
            f"the reference without native operations may need {wanted // MIB} MiB, "
            f"{free // MIB} MiB are free"
        )
    return start_variant(bundle, variant), "float32 on the CPU with native operations"


def measure_fidelity(
    session: Session, reference: Session, what: str, advance: Callable[[float], None]
) -> tuple[Fidelity, Example]:
    """Both sessions on the same drawn frames; ``what`` the reference is, for the report."""
    decibels, similarities, shifts, differing = [], [], [], []
    judged, wanted, example = [], [], None
    steps = itertools.count(1)
    for seed in SEEDS:
        rig = open_rig(SCENE.format(seed=seed))
        for number in NUMBERS:
            frame = rig.frame(number)
            visible, infrared = frame.visible.y, np.asarray(frame.infrared.plane, np.uint8)
            got, ours = (each.fuse(visible, infrared) for each in (session, reference))
            example = example or Example(session.precision, visible, infrared, got, ours)
            decibels.append(min(psnr(got, ours, 255), EQUAL_PSNR))
            similarities.append(ssim(got, ours, 255))
            shifts.append((float(got.mean()) - float(ours.mean())) / 255)
            differing.append(float((got != ours).mean()))
            advance(next(steps))
        judged.append(measure_truth(session, rig, NUMBERS))
        advance(next(steps))
        wanted.append(measure_truth(reference, rig, NUMBERS))
        advance(next(steps))
    assert example is not None
    fidelity = Fidelity(
        precision=session.precision,
        reference=what,
        frames=len(decibels),
        psnr_mean=float(np.mean(decibels)),
        psnr_worst=min(decibels),
        ssim_worst=min(similarities),
        shift=max(shifts, key=abs),
        differing=float(np.mean(differing)),
        truth=mean_quality(judged),
        reference_truth=mean_quality(wanted),
        refusals=(),
    )
    return msgspec.structs.replace(fidelity, refusals=tuple(find_refusals(fidelity))), example


def find_refusals(fidelity: Fidelity) -> list[str]:
    """A sentence for each limit that is not kept."""
    found = []
    if not fidelity.psnr_worst >= LEAST_PSNR:
        found.append(
            f"the worst frame is {fidelity.psnr_worst:.1f} dB from the reference, "
            f"{LEAST_PSNR:.0f} are needed"
        )
    if not fidelity.ssim_worst >= LEAST_SSIM:
        found.append(f"the worst SSIM is {fidelity.ssim_worst:.4f}, {LEAST_SSIM} is needed")
    if not abs(fidelity.shift) <= MOST_SHIFT:
        found.append(
            f"a frame's mean is {fidelity.shift:+.2%} of full range off, "
            f"{MOST_SHIFT:.1%} is allowed"
        )
    rises = {
        "person_contrast": ("contrast of people", -MOST_CONTRAST_LOSS),
        "text_contrast": ("contrast of text", -MOST_CONTRAST_LOSS),
        "noise_gain": ("noise gain", MOST_NOISE_RISE),
        "overshoot": ("overshoot", MOST_OVERSHOOT_RISE),
    }
    for name, (words, limit) in rises.items():
        got, wanted = getattr(fidelity.truth, name), getattr(fidelity.reference_truth, name)
        if got is None or wanted is None:
            continue
        beyond = got - wanted > limit if limit > 0 else got - wanted < limit
        if beyond:
            found.append(
                f"{words} is {got:.3f}, the reference has {wanted:.3f}; "
                f"{abs(limit)} {'more' if limit > 0 else 'less'} is allowed"
            )
    return found


def describe_fidelity(fidelity: Fidelity) -> str:
    """A clause with the figures."""
    return (
        f"{fidelity.psnr_mean:.1f} dB mean, {fidelity.psnr_worst:.1f} worst, SSIM "
        f"{fidelity.ssim_worst:.4f} worst on {fidelity.frames} drawn frames, beside "
        f"{fidelity.reference}"
    )
