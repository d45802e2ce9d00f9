"""A search's place in a run: its frames, its files, and the trial that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from mgdn_edge.calibration.candidate_measurements import JudgedFrame, fuse_in_float
from mgdn_edge.calibration.candidate_trial import Trial, decide_target
from mgdn_edge.calibration.lowered_models import BACKENDS, dynamic_variant, read_model
from mgdn_edge.calibration.pair_selection import only_chosen
from mgdn_edge.calibration.precision_search import (
    Measurements,
    SearchResult,
    best_point,
    explain_kept,
    search_precisions,
)
from mgdn_edge.calibration.qdq import clip_tensors
from mgdn_edge.calibration.relu_clip_points import cut_discarded
from mgdn_edge.runtime.bundle.ranges import Ranges
from mgdn_edge.runtime.bundle.reader import Bundle
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.pairing.recordings import Recording, read_frame_pairs

TUNING_PAIRS = 6  # each unit is judged on all of them


def read_tuning_frames(
    bundle: Bundle, recordings: Sequence[Recording], chosen: Sequence[int]
) -> list[JudgedFrame]:
    """A few of the calibration pairs, spread over them, with float32's pictures."""
    count = min(TUNING_PAIRS, len(chosen))
    places = np.linspace(0, len(chosen) - 1, count).round().astype(int)
    pairs = only_chosen(read_frame_pairs(recordings), [chosen[place] for place in places])
    model = bundle.read(dynamic_variant(bundle).file)
    return fuse_in_float(model, bundle.manifest.spec, pairs)


def tune_trial(
    bundle: Bundle,
    trial: Trial,
    ranges: Ranges,
    frames: Sequence[JudgedFrame],
    output: Path,
    *,
    int8: Sequence[str] = (),
    keep: Sequence[str] = (),
    progress: Progress = SILENT,
) -> tuple[SearchResult, Trial]:
    """Search the precisions of ``trial``'s contract: what was measured, and the trial it leads to.

    Without a contract the trial stays as it is. Interrupted measurements of pictures go on from a
    file beside ``output``.
    """
    target = trial.target
    model = read_model(bundle.read(dynamic_variant(bundle).file))
    clips = cut_discarded(model, clip_tensors(ranges, trial.method, target))
    measurements = Measurements(
        bundle,
        target,
        lambda kept: decide_target(model, ranges, target, int8=int8, keep=(*keep, *kept)),
        clips,
        frames,
        output,
        trial.turns,
        progress,
    )
    result = search_precisions(measurements, trial.contract, BACKENDS[target])
    if not trial.contract:
        return result, trial
    point = best_point(result, trial.contract)
    reasons = explain_kept(result, point)
    decisions = decide_target(model, ranges, target, int8=int8, keep=(*keep, *reasons))
    decisions = tuple(
        msgspec.structs.replace(each, reason=reasons.get(each.node, each.reason))
        for each in decisions
    )
    return result, trial._replace(decisions=decisions)
