"""Fidelity: a session's pictures beside those of float32 on the CPU, and both on drawn truth.

The reference runs every operation as the standard operators of its function body where memory
allows, so it shares no kernel with what is judged.
"""

from __future__ import annotations

import msgspec
import numpy as np

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import start_variant
from mgdn_edge.runtime.fusion.contract.backend_names import DEFAULT_BACKEND
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.contract.variant_choice import choose_variant
from mgdn_edge.runtime.fusion.engines.memory_need import MIB, available_memory, estimate_need
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.measure.acceptance.accept_result import Example, Fidelity
from mgdn_edge.runtime.measure.acceptance.subjects import BASE_SIZE, REFERENCE_PRECISION
from mgdn_edge.runtime.measure.acceptance.verdict import NotMeasured
from mgdn_edge.runtime.measure.evaluate import mean_quality
from mgdn_edge.runtime.measure.measure_truth import measure_truth
from mgdn_edge.runtime.quality.precision_verdict import (
    GateLimits,
    compare_frame,
    refusals,
    summarise_quality,
)
from mgdn_edge.runtime.synthetic import open_rig

SCENE = "synthetic://night?seed={seed}&frames=60"
SEEDS = (1, 2)
NUMBERS = (20, 40)  # people and cars have moved on between them
STEPS = len(SEEDS) * (len(NUMBERS) + 2)
# The published network's function bodies took 3.7 GB where estimate_need says 2.2 (see there).
MEMORY_MARGIN = 2.5

# What may be lost on truth; mgdn-edge is 0.06 above its contrast floor and 0.06 below its
# overshoot ceiling (measure_truth.py), so a third of that is not a matter of taste.
MOST_CONTRAST_LOSS = 0.02
MOST_NOISE_RISE = 0.05
MOST_OVERSHOOT_RISE = 0.02


def open_reference(bundle: Bundle, facts: GraphFacts, session: Session) -> tuple[Session, str]:
    """Float32 on the CPU -> its session, which the caller closes, and what it is.

    NotMeasured where memory leaves only the very code that is to be judged.
    """
    variant = choose_variant(bundle.manifest, precision=REFERENCE_PRECISION, size=BASE_SIZE)
    need = estimate_need(facts, BASE_SIZE, variant.file.bytes, 0, "body")
    wanted = round(MEMORY_MARGIN * (need.activations + need.weights))
    free = available_memory()
    if free is None or wanted <= free:
        reference = start_variant(bundle, variant, filter="body")
        return reference, "float32 on the CPU in standard operators"
    if session.backend == DEFAULT_BACKEND and session.precision == REFERENCE_PRECISION:
        raise NotMeasured(
            f"the reference without native operations may need {wanted // MIB} MiB, "
            f"{free // MIB} MiB are free"
        )
    return start_variant(bundle, variant), "float32 on the CPU with native operations"


def measure_fidelity(
    session: Session, reference: Session, what: str, progress: Progress = SILENT
) -> tuple[Fidelity, Example]:
    """Both sessions on the same drawn frames; ``what`` the reference is, for the report."""
    frames, differing = [], []
    judged, wanted, example = [], [], None
    for seed in SEEDS:
        rig = open_rig(SCENE.format(seed=seed))
        for number in NUMBERS:
            frame = rig.frame(number)
            pair = frame.visible.y, np.asarray(frame.infrared.plane, np.uint8)
            got, expected = (each.fuse(*pair) for each in (session, reference))
            example = example or Example(session.precision, *pair, got, expected)
            frames.append(compare_frame(f"night {seed}, frame {number}", pair, expected, got))
            differing.append(float((got != expected).mean()))
            progress.advance()
        judged.append(measure_truth(session, rig, NUMBERS))
        progress.advance()
        wanted.append(measure_truth(reference, rig, NUMBERS))
        progress.advance()
    assert example is not None
    fidelity = Fidelity(
        precision=session.precision,
        reference=what,
        quality=summarise_quality(frames),
        differing=float(np.mean(differing)),
        truth=mean_quality(judged),
        reference_truth=mean_quality(wanted),
        refusals=(),
    )
    return msgspec.structs.replace(fidelity, refusals=find_refusals(fidelity)), example


def find_refusals(fidelity: Fidelity) -> tuple[str, ...]:
    """A sentence for each limit of the gate, or on truth, that is not kept."""
    found = []
    limits = {
        "person_contrast": ("contrast of people", -MOST_CONTRAST_LOSS),
        "text_contrast": ("contrast of text", -MOST_CONTRAST_LOSS),
        "noise_gain": ("noise gain", MOST_NOISE_RISE),
        "overshoot": ("overshoot", MOST_OVERSHOOT_RISE),
    }
    for name, (words, limit) in limits.items():
        got, wanted = getattr(fidelity.truth, name), getattr(fidelity.reference_truth, name)
        if got is None or wanted is None:
            continue
        beyond = got - wanted > limit if limit > 0 else got - wanted < limit
        if beyond:
            found.append(
                f"{words} is {got:.3f}, the reference has {wanted:.3f}; "
                f"{abs(limit)} {'more' if limit > 0 else 'less'} is allowed"
            )
    return (*refusals(fidelity.quality, GateLimits()), *found)


def describe_fidelity(fidelity: Fidelity) -> str:
    """A clause with the figures."""
    quality = fidelity.quality
    return (
        f"{quality.psnr_mean:.1f} dB mean, {quality.psnr_worst:.1f} worst, SSIM "
        f"{quality.ssim_worst:.4f} worst on {quality.frames} drawn frames, beside "
        f"{fidelity.reference}"
    )
