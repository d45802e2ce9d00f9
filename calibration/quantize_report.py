"""What `mgdn quantize --report` shows: verdicts, worst frames, losses, the search and ranges."""

from __future__ import annotations

from mgdn_edge.calibration.candidate_measurements import ShownFrame
from mgdn_edge.calibration.candidate_trial import TrialResult
from mgdn_edge.calibration.plots import RangePlot, draw_losses, plot_pareto, plot_range
from mgdn_edge.calibration.quantize_result import QuantizeResult
from mgdn_edge.runtime.bundle.ranges import ranges_digest
from mgdn_edge.runtime.machine.environment import describe_environment
from mgdn_edge.runtime.machine.versions import installed_versions
from mgdn_edge.runtime.quality.precision_verdict import describe_verdict
from mgdn_edge.runtime.report.document import write_document
from mgdn_edge.runtime.report.pictures import Picture, encode_picture, picture_difference
from mgdn_edge.runtime.whole_file import Output

MOST_RANGES = 60  # tensors drawn for a target, the first of them


def write_quantize_report(output: Output, result: QuantizeResult, command: str) -> None:
    """Everything one run measured -> an HTML file; UserError where it cannot be written."""
    verdicts = result.manifest.verdicts
    write_document(
        output,
        "quantize.html",
        verdict=quantize_headline(result),
        flawed=not all(each.accepted for each in verdicts),
        verdicts=[(f"{v.precision} for {v.backend}", v, describe_verdict(v)) for v in verdicts],
        strips=[
            (
                f"{label_trial(each)}: {kept.quality.name}, {kept.quality.psnr:.1f} dB",
                draw_shown_frame(kept),
            )
            for each in result.results
            for kept in each.worst
        ],
        searches=[
            (target, search, draw_losses(search.losses), plot_pareto(search))
            for target, search in result.searches.items()
        ],
        ranges=[
            (label_trial(each), list_ranges(result, each))
            for each in result.results
            if each.trial.precision == "int8"
        ],
        selection=result.ranges.selection,
        environment=describe_environment(
            installed_versions(),
            {
                "network": result.manifest.name,
                "ranges": ranges_digest(result.ranges),
                "calibration": result.ranges.selection,
            },
        ),
        command=command,
    )


def quantize_headline(result: QuantizeResult) -> str:
    """One plain sentence: what was accepted, how close and how fast."""
    parts = []
    for each in result.results:
        verdict = each.verdict
        if not verdict.accepted:
            parts.append(f"{label_trial(each)} refused")
            continue
        text = f"{label_trial(each)} accepted at {verdict.quality.psnr_mean:.1f} dB"
        if verdict.speed is not None:
            text += f", {1 / verdict.speed.ratio:.2f} times as fast as float32"
        parts.append(text)
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def label_trial(result: TrialResult) -> str:
    """Such as "int8 for cpu"."""
    return f"{result.trial.precision} for {result.trial.target}"


def draw_shown_frame(kept: ShownFrame) -> list[Picture]:
    """Float32, the candidate, and their difference."""
    name = kept.quality.name
    return [
        encode_picture(kept.wanted, "float32", f"what float32 makes of {name}"),
        encode_picture(kept.got, "candidate", f"what the candidate makes of {name}"),
        picture_difference(kept.got, kept.wanted, "their difference"),
    ]


def list_ranges(result: QuantizeResult, each: TrialResult) -> list[RangePlot]:
    """The drawings of the tensors this trial rounds."""
    tensors = result.ranges.tensors
    return [
        plot_range(name, tensors[name], each.clips[name]) for name in each.rounded[:MOST_RANGES]
    ]
