"""One target: its candidate graphs, the gate's verdict on them, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from mgdn_edge.calibration.candidate import (
    BACKENDS,
    dynamic_variant,
    quantise_model,
    quantise_variants,
    quantised_tensors,
    read_model,
)
from mgdn_edge.calibration.clip_points import ClipPoints, Method, clipped_share
from mgdn_edge.calibration.judging import (
    TURNS,
    JudgedFrame,
    KeptFrame,
    judge_pictures,
    measure_speed,
)
from mgdn_edge.calibration.policy import ASKED
from mgdn_edge.calibration.qdq import Target, clip_tensors
from mgdn_edge.calibration.rectified import cut_discarded
from mgdn_edge.runtime.bundle.extension import Candidate
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.gate import (
    GateLimits,
    NodeDecision,
    SpeedFigures,
    Verdict,
    refusals,
    summarise_quality,
)
from mgdn_edge.runtime.ranges import Ranges, ranges_digest
from mgdn_edge.runtime.session import Size

WORST_KEPT = 3
SPEED_SIZE: Size = (480, 640)
MUCH_CLIPPED = 0.01  # of a tensor's values: published cases of faded pictures begin here
NAMED_TENSORS = 2


class Trial(NamedTuple):
    """What is tried on a target: the nodes in 8 bits with all decisions, and the method."""

    decisions: tuple[NodeDecision, ...]
    method: Method
    limits: GateLimits = GateLimits()
    turns: int = TURNS

    @property
    def nodes(self) -> set[str]:
        """Names of the nodes in 8 bits."""
        return {each.node for each in self.decisions if each.precision == "int8"}


class TargetResult(NamedTuple):
    """One target's verdict, where its tensors are clipped, and its worst frames' pictures."""

    target: Target
    verdict: Verdict
    clips: dict[str, ClipPoints]
    worst: list[KeptFrame]


def try_target(
    bundle: Bundle,
    target: Target,
    trial: Trial,
    ranges: Ranges,
    frames: Sequence[JudgedFrame],
    warnings: Sequence[str] = (),
    on_frame: Callable[[], None] = lambda: None,
) -> tuple[TargetResult, list[Candidate]]:
    """Quantise every variant for ``target`` and judge them: the result and the candidates.

    Pictures are judged on ONNX Runtime's CPU provider, which runs the files of every target; time
    only where the target's backend is that.
    """
    model = bundle.read(dynamic_variant(bundle).file)
    chosen = clip_tensors(ranges, trial.method, target)
    clips = cut_discarded(read_model(model), chosen)
    judged = quantise_model(model, trial.nodes, clips, target)
    qualities, worst = judge_pictures(judged, bundle.manifest.spec, frames, WORST_KEPT, on_frame)
    quality = summarise_quality(qualities)
    reasons = [*warnings, *refusals(quality, trial.limits)]
    if not trial.nodes:
        reasons.append("no layer of this network can run in 8 bits")
    if reasons:
        reasons += explain(trial, ranges, chosen, quantised_tensors(judged))
    candidates = quantise_variants(bundle, trial.nodes, clips, target)
    speed = None
    if target == "cpu" and trial.nodes:
        speed = time_candidate(bundle, candidates, trial.turns)
    verdict = Verdict(
        precision="int8",
        backend=BACKENDS[target],
        accepted=not reasons,
        reasons=tuple(reasons),
        method=str(trial.method),
        ranges=ranges_digest(ranges),
        quality=quality,
        speed=speed,
        faster=None if speed is None else speed.ratio <= trial.limits.speed,
        limits=trial.limits,
        nodes=trial.decisions,
    )
    return TargetResult(target, verdict, clips, worst), candidates


def time_candidate(bundle: Bundle, candidates: Sequence[Candidate], turns: int) -> SpeedFigures:
    """The candidate beside float32 in turns, at 640x480 or else at the first fixed size."""
    sizes = {each.base.name: each for each in candidates}
    fixed = [each for each in candidates if each.base.height is not None]
    chosen = sizes.get(f"{SPEED_SIZE[1]}x{SPEED_SIZE[0]}") or (fixed or [*candidates])[0]
    base = chosen.base
    static = base.height is not None and base.width is not None
    size = (base.height, base.width) if static else SPEED_SIZE
    models = [bundle.read(base.file), chosen.model]
    return measure_speed(models, bundle.manifest.spec, size, static, turns)[1]


def explain(
    trial: Trial, ranges: Ranges, clips: Mapping[str, ClipPoints], tensors: Collection[str]
) -> list[str]:
    """What may have caused a refusal: values of ``tensors`` cut off, layers against the rules."""
    found = []
    shares = {name: clipped_share(ranges.tensors[name], clips[name]) for name in tensors}
    much = sorted((n for n in shares if shares[n] > MUCH_CLIPPED), key=lambda n: -shares[n])
    if much:
        named = ", ".join(f"{shares[name]:.0%} of {name}" for name in much[:NAMED_TENSORS])
        more = f" and of {len(much) - NAMED_TENSORS} more" if len(much) > NAMED_TENSORS else ""
        found.append(
            f"method {trial.method} cuts off {named}{more}: try --method minmax or a higher "
            "--percentile"
        )
    found += [
        f"{each.node} is in 8 bits because it was {each.reason}"
        for each in trial.decisions
        if each.precision == "int8" and each.reason.startswith(ASKED)
    ]
    return found
