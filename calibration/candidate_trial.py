"""One candidate: its graphs, the gate's verdict on them, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import onnx_ir as ir

from mgdn_edge.calibration.candidate_measurements import (
    SPEED_SIZE,
    TURNS,
    JudgedFrame,
    ShownFrame,
    judge_pictures,
    measure_speed,
)
from mgdn_edge.calibration.clip_points import ClipMethod, ClipPoints, clipped_share
from mgdn_edge.calibration.contract import ContractClause, broken_clauses
from mgdn_edge.calibration.float16 import decide_half
from mgdn_edge.calibration.lowered_models import (
    BACKENDS,
    dynamic_variant,
    lower_model,
    lower_variants,
    quantised_tensors,
    read_model,
)
from mgdn_edge.calibration.node_precisions import ASKED, decide_nodes
from mgdn_edge.calibration.qdq import Target, clip_tensors
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.runtime.bundle.ranges import Ranges, ranges_digest
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.fusion.contract.variant_choice import static_size
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.packing.extension import Candidate
from mgdn_edge.runtime.quality.precision_verdict import (
    CandidatePrecision,
    GateLimits,
    NodeDecision,
    SpeedFigures,
    Verdict,
    refusals,
    summarise_quality,
)

WORST_KEPT = 3
MUCH_CLIPPED = 0.01  # of a tensor's values: published cases of faded pictures begin here
NAMED_TENSORS = 2


class Trial(NamedTuple):
    """What is tried: a precision on a target, node by node, and how it is calibrated and judged."""

    target: Target
    precision: CandidatePrecision
    decisions: tuple[NodeDecision, ...]
    method: ClipMethod
    limits: GateLimits = GateLimits()
    turns: int = TURNS
    contract: tuple[ContractClause, ...] = ()


class TrialResult(NamedTuple):
    """A trial's verdict, where tensors are clipped and which are rounded, its worst frames."""

    trial: Trial
    verdict: Verdict
    clips: dict[str, ClipPoints]
    rounded: list[str]
    worst: list[ShownFrame]


def list_trials(
    model: ir.Model,
    ranges: Ranges,
    targets: Sequence[Target],
    *,
    int8: Sequence[str] = (),
    keep: Sequence[str] = (),
    method: ClipMethod,
    limits: GateLimits,
    turns: int,
) -> list[Trial]:
    """What is worth trying on each target: 8 bits, and on TensorRT float16 alone too."""
    trials = []
    for target in targets:
        decisions = decide_target(model, ranges, target, int8=int8, keep=keep)
        trials.append(Trial(target, "int8", decisions, method, limits, turns))
        if target == "tensorrt":
            halves = decide_half(model, ranges.tensors)
            trials.append(Trial(target, "fp16", halves, method, limits, turns))
    return trials


def decide_target(
    model: ir.Model,
    ranges: Ranges,
    target: Target,
    *,
    int8: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> tuple[NodeDecision, ...]:
    """Every node's precision in the 8-bit file of ``target``.

    The rest is float32 on a CPU, which emulates float16, and float16 with float32 islands in
    TensorRT.
    """
    decided = decide_nodes(model, int8=int8, keep=keep)
    if target == "cpu":
        return decided
    rules = {each.node: each for each in decided}
    halves = decide_half(model, ranges.tensors)
    return tuple(_mix(rules.get(each.node), each) for each in halves)


def _mix(rule: NodeDecision | None, half: NodeDecision) -> NodeDecision:
    """8 bits where the rules allow, else what float16 allows, with the reason that binds."""
    if rule is None or rule.precision == "int8":
        return rule or half
    return msgspec.structs.replace(
        half, reason=rule.reason if half.precision == "fp16" else half.reason
    )


def run_trial(
    bundle: Bundle,
    trial: Trial,
    ranges: Ranges,
    frames: Sequence[JudgedFrame],
    warnings: Sequence[str] = (),
    progress: Progress = SILENT,
) -> tuple[TrialResult, list[Candidate]]:
    """Lower every variant and judge them: the result and the candidates.

    Pictures are judged on ONNX Runtime's CPU provider, which runs the files of every target; time
    only where the target's backend is that.
    """
    target, decisions = trial.target, trial.decisions
    model = bundle.read(dynamic_variant(bundle).file)
    chosen = clip_tensors(ranges, trial.method, target)
    clips = cut_discarded(read_model(model), chosen)
    judged = lower_model(model, decisions, clips, target)
    qualities, worst = judge_pictures(judged, bundle.manifest.spec, frames, WORST_KEPT, progress)
    quality = summarise_quality(qualities)
    candidates = lower_variants(bundle, trial.precision, decisions, clips, target)
    speed = time_candidate(bundle, candidates, trial.turns) if target == "cpu" else None
    reasons = [*(warnings if trial.precision == "int8" else ()), *refusals(quality, trial.limits)]
    reasons += broken_clauses(trial.contract, quality, speed, BACKENDS[target])
    if all(each.precision != trial.precision for each in decisions):
        reasons.append(f"no layer of this network can run in {trial.precision}")
    rounded = quantised_tensors(judged)
    if reasons:
        reasons += explain(trial, ranges, chosen, rounded)
    verdict = Verdict(
        precision=trial.precision,
        backend=BACKENDS[target],
        accepted=not reasons,
        reasons=tuple(reasons),
        method=str(trial.method),
        ranges=ranges_digest(ranges),
        quality=quality,
        speed=speed,
        faster=None if speed is None else speed.ratio <= trial.limits.speed,
        limits=trial.limits,
        nodes=decisions,
    )
    return TrialResult(trial, verdict, clips, rounded, worst), candidates


def time_candidate(bundle: Bundle, candidates: Sequence[Candidate], turns: int) -> SpeedFigures:
    """The candidate beside float32 in turns, at 640x480 or else at the first fixed size."""
    sizes = {each.base.name: each for each in candidates}
    fixed = [each for each in candidates if each.base.height is not None]
    chosen = sizes.get(f"{SPEED_SIZE[1]}x{SPEED_SIZE[0]}") or (fixed or [*candidates])[0]
    base, size = chosen.base, static_size(chosen.base)
    models = [bundle.read(base.file), chosen.model]
    spec = bundle.manifest.spec
    return measure_speed(models, spec, size or SPEED_SIZE, static=size is not None, turns=turns)[1]


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
