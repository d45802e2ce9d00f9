"""quantize_bundle: a bundle and recordings -> a bundle with 8-bit variants or their refusal."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from mgdn_edge.calibration.calibration_state import CalibrationState
from mgdn_edge.calibration.candidate_measurements import TURNS, fuse_in_float
from mgdn_edge.calibration.candidate_trial import TrialResult, list_trials, run_trial
from mgdn_edge.calibration.clip_points import ClipMethod
from mgdn_edge.calibration.contract import parse_contract
from mgdn_edge.calibration.exchanged_cameras import looks_exchanged
from mgdn_edge.calibration.held_out_pairs import HeldOut, hold_out, refuse_seen
from mgdn_edge.calibration.lowered_models import dynamic_variant, read_model
from mgdn_edge.calibration.pair_selection import (
    PairFacts,
    describe_selection,
    look_at_pairs,
    only_chosen,
    select_pairs,
)
from mgdn_edge.calibration.precision_search import SearchResult
from mgdn_edge.calibration.qdq import Target, clip_tensors
from mgdn_edge.calibration.quantize_result import QuantizeResult
from mgdn_edge.calibration.tensorrt_calibration_cache import (
    JETPACK_6,
    Version,
    encode_calibration_cache,
)
from mgdn_edge.calibration.trial_from_search import read_tuning_frames, tune_trial
from mgdn_edge.runtime.bundle.manifest import CalibrationProvenance
from mgdn_edge.runtime.bundle.ranges import Ranges, encode_ranges, ranges_digest
from mgdn_edge.runtime.bundle.reader import Bundle, open_bundle
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.packing.extension import Candidate, extend_bundle
from mgdn_edge.runtime.pairing.recordings import (
    Recording,
    list_recordings,
    read_frame_pairs,
    recording_files,
)
from mgdn_edge.runtime.quality.precision_verdict import GateLimits
from mgdn_edge.runtime.whole_file import Output, Outputs, Overwrite, beside

RANGES_FILE = "ranges.json"
DEFAULT_PAIRS = 64
TOOLS = ("onnx", "onnx-ir")
EXCHANGED = (
    "visible and infrared look exchanged in the calibration pairs: their visible planes have the "
    "levels of the held-out infrared ones, and the other way round; give VISIBLE,INFRARED"
)


class QuantizeOptions(msgspec.Struct, frozen=True):
    """How to quantise: ``held_out`` are arguments as ``pairs``, ``int8`` and ``keep`` patterns.

    A ``contract`` decides which layers are in 8 bits; ``sensitivity`` measures each without one.
    ``calibration_cache`` is also written, for TensorRT ``cache_version``, and ``report`` as a page
    that states ``command``.
    """

    method: ClipMethod = ClipMethod()
    pairs: int = DEFAULT_PAIRS
    held_out: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ("cpu", "tensorrt")
    int8: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    limits: GateLimits = GateLimits()
    turns: int = TURNS
    contract: str | None = None
    sensitivity: bool = False
    calibration_cache: Path | None = None
    cache_version: Version = JETPACK_6
    report: Path | None = None
    command: str = ""


def quantize_bundle(
    source: Path,
    pairs: str,
    output: Path,
    options: QuantizeOptions = QuantizeOptions(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
    *,
    overwrite: Overwrite = False,
) -> QuantizeResult:
    """Calibrate on ``pairs``, judge on held-out pairs, write ``output`` with the verdicts.

    A refused candidate leaves its verdict and its ranges in the bundle and no model. Interrupted
    observation goes on when the same command is given again. Raises UserError; EndedEarlyError with
    the result where only a file beside ``output`` failed.
    """
    contract = () if options.contract is None else parse_contract(options.contract)
    with open_bundle(source) as bundle:
        recordings = list_recordings(pairs, "train")
        files = QuantizeFiles(source, recordings, output, options, overwrite)
        progress.begin("looking at the pairs")
        facts = look_at_pairs(read_frame_pairs(recordings), progress)
        free, held_out = hold_out(options.held_out, recordings, facts)
        chosen = select_pairs(facts[:free], options.pairs)
        calibrated = [facts[index] for index in chosen]
        refuse_seen(calibrated, held_out)
        ranges = observe(bundle, recordings, facts[:free], chosen, output, progress)
        model = bundle.read(dynamic_variant(bundle).file)
        progress.begin("fusing held-out pairs in float32", len(held_out.facts))
        frames = fuse_in_float(model, bundle.manifest.spec, held_out.read(), progress)
        warnings = [EXCHANGED] if looks_exchanged(calibrated, held_out.facts) else []
        trials = list_trials(
            read_model(model),
            ranges,
            options.targets,
            int8=options.int8,
            keep=options.keep,
            method=options.method,
            limits=options.limits,
            turns=options.turns,
        )
        results: list[TrialResult] = []
        candidates: list[Candidate] = []
        searches: dict[Target, SearchResult] = {}
        wanted = bool(contract) or options.sensitivity
        tuned = read_tuning_frames(bundle, recordings, chosen) if wanted else []
        for planned in trials:
            trial = planned
            if wanted and trial.precision == "int8":
                progress.begin(f"measuring layers for {trial.target}")
                searches[trial.target], trial = tune_trial(
                    bundle,
                    trial._replace(contract=contract),
                    ranges,
                    tuned,
                    output,
                    int8=options.int8,
                    keep=options.keep,
                    progress=progress,
                )
            progress.begin(f"judging {trial.precision} for {trial.target}", len(frames))
            result, tried = run_trial(bundle, trial, ranges, frames, warnings, progress)
            results.append(result)
            candidates += tried if result.verdict.accepted else []
        progress.begin("writing the bundle")
        manifest = extend_bundle(
            bundle,
            files.bundle,
            candidates,
            [result.verdict for result in results],
            describe_calibration(ranges, options.method, held_out),
            files={RANGES_FILE: encode_ranges(ranges)},
            tools={name: version(name) for name in TOOLS},
        )
    progress.done()
    made = QuantizeResult(manifest, ranges, results, searches)
    with beside(output, made):
        files.write_others(made, options)
    return made


class QuantizeFiles:
    """The bundle, and beside it the calibration cache and the page where they are asked for."""

    def __init__(
        self,
        source: Path,
        recordings: Sequence[Recording],
        output: Path,
        options: QuantizeOptions,
        overwrite: Overwrite,
    ) -> None:
        """Claim them; UserError where one cannot be written."""
        held_out = [each for text in options.held_out for each in list_recordings(text, "val")]
        outputs = Outputs([source, *recording_files([*recordings, *held_out])], overwrite)
        self.bundle = outputs.claim(output, "OUT", ".mgdn")
        self.cache: Output | None = None
        if options.calibration_cache is not None:
            cache = options.calibration_cache
            self.cache = outputs.claim(cache, "--calibration-cache", ".cache")
        self.report: Output | None = None
        if options.report is not None:
            self.report = outputs.claim(options.report, "--report", ".html")

    def write_others(self, result: QuantizeResult, options: QuantizeOptions) -> None:
        """Write the files beside the bundle, each even where the other fails."""
        try:
            if self.cache is not None:
                clips = clip_tensors(result.ranges, options.method, "tensorrt")
                self.cache.write(encode_calibration_cache(clips, options.cache_version))
        finally:
            if self.report is not None:
                from mgdn_edge.calibration.quantize_report import write_quantize_report

                write_quantize_report(self.report, result, options.command)


def observe(
    bundle: Bundle,
    recordings: Sequence[Recording],
    facts: Sequence[PairFacts],
    chosen: Sequence[int],
    output: Path,
    progress: Progress,
) -> Ranges:
    """The chosen pairs' ranges, from where an interrupted run of the same pairs ended."""
    digests = tuple(facts[index].digest for index in chosen)
    model = bundle.read(dynamic_variant(bundle).file)
    progress.begin("observing calibration pairs", len(chosen))
    state = CalibrationState(output, model, digests)
    progress.advance(state.done)
    state.observe(only_chosen(read_frame_pairs(recordings), chosen[state.done :]), progress)
    return Ranges(
        network=bundle.manifest.network,
        tensors=state.finish(),
        pairs=digests,
        selection=describe_selection(facts, chosen),
    )


def describe_calibration(
    ranges: Ranges, method: ClipMethod, held_out: HeldOut
) -> CalibrationProvenance:
    """What the manifest states about the pairs."""
    return CalibrationProvenance(
        ranges=ranges_digest(ranges),
        method=str(method),
        selection=ranges.selection,
        pairs=ranges.pairs,
        held_out=tuple(each.digest for each in held_out.facts),
        notes=held_out.notes,
    )
