"""evaluate_networks: networks judged on the truth of synthetic scenes, seed by seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterImplementation
from mgdn_edge.runtime.fusion.contract.session import Session
from mgdn_edge.runtime.fusion.contract.session_choice import DEFAULT_CHOICE, SessionChoice
from mgdn_edge.runtime.fusion.open_session import open_session
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.measure.measure_truth import measure_truth
from mgdn_edge.runtime.measure.truth_quality import TruthQuality
from mgdn_edge.runtime.synthetic import Rig
from mgdn_edge.runtime.synthetic.rig_options import parse_rig

SCHEMA = "mgdn.evaluate/1"


class SeedQuality(msgspec.Struct, frozen=True):
    """One network on one seed."""

    network: str
    seed: int
    quality: TruthQuality


class JudgedSession(msgspec.Struct, frozen=True):
    """What fused a network's frames; ``execution`` says how, a fallback too."""

    network: str
    backend: str
    variant: str
    precision: str
    filter_implementation: FilterImplementation | None
    execution: dict[str, str]


class EvaluateReport(msgspec.Struct, frozen=True):
    """Rows by network, then by seed; ``sessions`` in the order of the networks."""

    schema: str
    scene: str
    rows: list[SeedQuality]
    versions: dict[str, str]
    sessions: list[JudgedSession]


def evaluate_networks(
    uri: str,
    networks: list[str | Path],
    choice: SessionChoice = DEFAULT_CHOICE,
    *,
    seeds: list[int] | None = None,
    frames: int = 6,
    progress: Progress = SILENT,
) -> EvaluateReport:
    """``frames`` frames spread over the scene, every network on each of ``seeds``.

    ``choice`` is the first network's; the others have its threads alone. ``seeds`` None takes the
    URI's. Raises UserError for a wrong URI or network, or a rig that ``measure_truth`` refuses.
    """
    options = parse_rig(uri)
    if not 1 <= frames <= options.frames:
        raise UserError(
            f"--frames {frames} of a scene of {options.frames} frames; "
            f"give 1 to {options.frames}, or frames=N in the URI"
        )
    # The middle of each of ``frames`` equal parts: people and cars have moved on in each.
    numbers = [(2 * part + 1) * options.frames // (2 * frames) for part in range(frames)]
    rows: dict[tuple[int, int], SeedQuality] = {}
    opened: list[Session] = []
    try:
        for index, network in enumerate(networks):
            given = choice.beside() if index else choice
            opened.append(open_session(network, given, size=options.size, progress=progress))
        seeds = seeds or [options.seed]
        progress.begin("judging", len(networks) * len(seeds))
        for turn, seed in enumerate(seeds):
            rig = Rig(replace(options, seed=seed))
            for index, session in enumerate(opened):
                quality = measure_truth(session, rig, numbers)
                rows[index, turn] = SeedQuality(session.network, seed, quality)
                progress.advance()
    finally:
        for session in opened:
            session.close()
    return EvaluateReport(
        SCHEMA,
        uri,
        [rows[key] for key in sorted(rows)],
        installed_versions(),
        [
            JudgedSession(
                network=session.network,
                backend=session.backend,
                variant=session.variant,
                precision=session.precision,
                filter_implementation=session.filter_implementation,
                execution=session.execution,
            )
            for session in opened
        ],
    )


def mean_quality(qualities: list[TruthQuality]) -> TruthQuality:
    """Figures averaged over seeds, counts added up."""

    def mean(name: str) -> float | None:
        values = [getattr(each, name) for each in qualities]
        measured = [value for value in values if value is not None]
        return sum(measured) / len(measured) if measured else None

    return TruthQuality(
        frames=sum(each.frames for each in qualities),
        persons=sum(each.persons for each in qualities),
        words=sum(each.words for each in qualities),
        person_contrast=mean("person_contrast"),
        text_contrast=mean("text_contrast"),
        noise_gain=mean("noise_gain"),
        overshoot=mean("overshoot"),
        overshoot_p95=mean("overshoot_p95"),
        psnr=sum(each.psnr for each in qualities) / len(qualities),
        ssim=sum(each.ssim for each in qualities) / len(qualities),
    )
