"""``mgdn quantize``: parses, calls quantize_bundle, prints the verdicts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import DATA_FORMS, OverwriteFiles, may_overwrite
from mgdn_edge.runtime.errors import EndedEarlyError, UserError

if TYPE_CHECKING:
    from mgdn_edge.calibration.clip_points import MethodName
    from mgdn_edge.calibration.precision_search import SearchResult
    from mgdn_edge.calibration.qdq import Target
    from mgdn_edge.calibration.quantize_result import QuantizeResult
    from mgdn_edge.runtime.quality.precision_verdict import NodeDecision

EXTRA = "calibration"
SCHEMA = "mgdn.quantize/1"
IN_RANGE = "within float16's range"  # the reason of a node that no rule keeps

EPILOG = f"""{DATA_FORMS.format("PAIRS", "train; val where they are held out")}

Exit code 1 where 8 bits were refused on every target; the verdicts are in the bundle.

Examples:

  mgdn quantize mgdn-edge day/ edge8.mgdn

  mgdn quantize edge.mgdn vi.mp4,ir.mp4 edge8.mgdn --held-out other_vi.mp4,other_ir.mp4

  mgdn quantize edge.mgdn data#roadscene:train edge8.mgdn --report quantize.html
"""


class MethodChoice(str, Enum):
    """How clip points are chosen."""

    MSE = "mse"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"
    MINMAX = "minmax"


class TargetChoice(str, Enum):
    """What the 8-bit files are for."""

    BOTH = "both"
    CPU = "cpu"
    TENSORRT = "tensorrt"


def register(app: typer.Typer) -> None:
    """Add ``mgdn quantize``."""
    app.command("quantize", epilog=EPILOG)(quantize)


def quantize(
    source: Annotated[
        str, typer.Argument(metavar="NETWORK", help="A .mgdn file or a network by name.")
    ],
    pairs: Annotated[str, typer.Argument(metavar="PAIRS", help="Recordings to calibrate on.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.mgdn", help="Bundle to write.")],
    held_out: Annotated[
        list[str] | None,
        typer.Option(metavar="PAIRS", help="Judge on these; repeatable [a quarter of PAIRS]."),
    ] = None,
    method: Annotated[MethodChoice, typer.Option(help="How clip points are chosen.")] = (
        MethodChoice.MSE
    ),
    percentile: Annotated[
        float, typer.Option(help="Share of values kept by --method percentile, in percent.")
    ] = 99.99,
    count: Annotated[
        int, typer.Option("--pairs", help="Pairs to calibrate on, spread over PAIRS.")
    ] = 64,
    target: Annotated[TargetChoice, typer.Option(help="What to write files for.")] = (
        TargetChoice.BOTH
    ),
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Keep this node float; * allowed, repeatable."),
    ] = None,
    int8: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Quantise this node whatever the rules say."),
    ] = None,
    contract: Annotated[
        str | None,
        typer.Option(
            metavar="CLAUSES",
            help="Search which layers are in 8 bits, such as 'ssim>=0.995, p95<=25ms'.",
        ),
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Measure what each layer costs and saves.")
    ] = False,
    calibration_cache: Annotated[
        Path | None,
        typer.Option(metavar="FILE.cache", help="Also write TensorRT 10's calibration cache."),
    ] = None,
    tensorrt: Annotated[
        str, typer.Option(metavar="VERSION", help="The version --calibration-cache is for.")
    ] = "10.3.0",
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write a page to look at.")
    ] = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Verdicts as one JSON object.")] = False,
) -> None:
    """Calibrate, quantise to 8 bits, and judge on held-out pairs: accepted or refused, and why."""
    from mgdn_edge.runtime.extras import require_extra

    require_extra(EXTRA)
    from mgdn_edge.calibration.clip_points import ClipMethod
    from mgdn_edge.calibration.quantize import QuantizeOptions, quantize_bundle
    from mgdn_edge.calibration.tensorrt_calibration_cache import parse_version, refuse_removed
    from mgdn_edge.runtime.bundle.network_names import find_bundle
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.machine.page_retention import retain_pages

    if not 0 < percentile <= 100:
        raise UserError(f"--percentile {percentile:g} is not above 0 and at most 100")
    targets: tuple[Target, ...] = ("cpu", "tensorrt")
    if target is not TargetChoice.BOTH:
        targets = tuple(each for each in targets if each == target.value)
    name: MethodName = method.value
    version = parse_version(tensorrt)
    refuse_removed(version)
    options = QuantizeOptions(
        method=ClipMethod(name, percentile),
        pairs=count,
        held_out=tuple(held_out or ()),
        targets=targets,
        int8=tuple(int8 or ()),
        keep=tuple(keep or ()),
        contract=contract,
        sensitivity=sensitivity or report is not None,
        calibration_cache=calibration_cache,
        cache_version=version,
        report=report,
        command=command_text(sys.argv[1:]),
    )
    retain_pages()

    def show(result: QuantizeResult) -> None:
        print_verdicts_json(output, result) if json else print_verdicts(output, result)

    try:
        with show_progress(bars=not json) as progress:
            result = quantize_bundle(
                find_bundle(source),
                pairs,
                output,
                options,
                progress,
                overwrite=may_overwrite(overwrite),
            )
    except EndedEarlyError as error:
        show(error.figures)
        raise
    show(result)
    if not any(each.accepted for each in result.manifest.verdicts if each.precision == "int8"):
        raise typer.Exit(1)


def print_verdicts_json(output: Path, result: QuantizeResult) -> None:
    """The verdicts with every figure, as one object."""
    import msgspec

    from mgdn_edge.runtime.bundle.ranges import ranges_digest

    report = {
        "schema": SCHEMA,
        "output": str(output),
        "ranges": ranges_digest(result.ranges),
        "selection": result.ranges.selection,
        "verdicts": result.manifest.verdicts,
        "searches": result.searches,
    }
    print(msgspec.json.encode(report).decode())


def print_verdicts(output: Path, result: QuantizeResult) -> None:
    """One paragraph for each target, and what stays float."""
    from mgdn_edge.runtime.bundle.ranges import ranges_digest
    from mgdn_edge.runtime.quality.precision_verdict import describe_verdict

    print(f"calibrated on {result.ranges.selection}")
    print(f"ranges {ranges_digest(result.ranges)}")
    for verdict in result.manifest.verdicts:
        print(f"{verdict.precision} for {verdict.backend} {describe_verdict(verdict)}")
        print(f"  {describe_nodes(verdict.nodes)}")
    for target, search in result.searches.items():
        print_search(target, search)
    print(f"wrote {output}")


def print_search(target: str, search: SearchResult) -> None:
    """Each layer's loss and saving, then the points the search tried."""
    from rich.console import Console
    from rich.table import Table

    def milliseconds(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.2f}"

    layers = Table(title=f"{target}: one alone in 8 bits", title_justify="left")
    for heading in ("layer", "PSNR dB", "SSIM", "ms saved"):
        layers.add_column(heading, justify="left" if heading == "layer" else "right")
    for loss in search.losses:
        saved = milliseconds(loss.saved_ms)
        layers.add_row(loss.unit, f"{loss.psnr:.2f}", f"{loss.ssim:.4f}", saved)
    tried = Table(title=f"{target}: precisions tried", title_justify="left")
    for heading in ("layers", "PSNR dB", "SSIM", "p50 ms", "p95 ms", "breaks"):
        tried.add_column(heading, justify="right" if "ms" in heading else "left")
    for number, point in enumerate(search.points):
        speed = point.speed
        times = (None, None) if speed is None else (speed.p50, speed.p95)
        broken = [each.partition(":")[0].removeprefix("contract ") for each in point.broken]
        mark = ", ".join(broken) or ("chosen" if number == search.chosen else "keeps all")
        quality = point.quality
        tried.add_row(
            point.label, f"{quality.psnr_mean:.2f}", f"{quality.ssim_mean:.4f}",
            *map(milliseconds, times), mark if search.contract else "-",
        )  # fmt: skip
    console = Console()
    console.print(layers)
    console.print(tried)


def describe_nodes(nodes: Sequence[NodeDecision]) -> str:
    """How many nodes are in each precision, and the first of those each reason keeps float."""
    counts = Counter(each.precision for each in nodes)
    text = ", ".join(f"{counts[name]} {name}" for name in ("int8", "fp16", "fp32") if counts[name])
    lowest = "int8" if counts["int8"] else "fp16"
    kept: dict[str, list[str]] = {}
    for each in nodes:
        if each.precision != lowest and each.reason != IN_RANGE:
            kept.setdefault(each.reason, []).append(each.node)
    for reason, names in kept.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        text += f"\n    {names[0]}{more}: {reason}"
    return f"nodes: {text}"
