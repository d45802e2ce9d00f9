"""``mgdn evaluate``: parses, calls evaluate_networks, prints a table over networks and seeds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    Backend,
    BundleFile,
    Fallback,
    Filter,
    NetworkName,
    PrecisionOption,
    Threads,
    VariantOption,
    choose_network,
)
from mgdn_edge.runtime.errors import UserError

if TYPE_CHECKING:
    from mgdn_edge.runtime.measure.evaluate import EvaluateReport
    from mgdn_edge.runtime.measure.truth_quality import TruthQuality

MOST_SEEDS = 1000

EPILOG = """Examples:

  mgdn evaluate synthetic://night --seeds 1-5 --compare average --compare laplacian

  mgdn evaluate 'synthetic://smoke?seed=3&size=320x256' --network guided --json
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn evaluate``."""
    app.command("evaluate", epilog=EPILOG)(evaluate_command)


def evaluate_command(
    scene: Annotated[
        str, typer.Argument(metavar="SCENE", help="synthetic://night, dusk, day or smoke.")
    ] = "synthetic://night",
    bundle: BundleFile = None,
    network: NetworkName = None,
    backend: Backend = None,
    fallback: Fallback = None,
    variant: VariantOption = None,
    precision: PrecisionOption = None,
    threads: Threads = None,
    filter: Filter = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Also judge this network; repeatable."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="A-B", help="Seeds A to B instead of the scene's own.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames per seed, spread over it.")] = 6,
    json: Annotated[bool, typer.Option("--json", help="Figures as one JSON object.")] = False,
) -> None:
    """Judge networks on drawn scenes whose truth is known: contrast, noise, overshoot."""
    import msgspec

    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.measure.evaluate import evaluate_networks

    chosen = choose_network(bundle, network)
    retain_pages()
    choice = SessionChoice(
        backend=backend,
        fallback=fallback,
        variant=variant,
        precision=precision,
        threads=threads,
        filter=filter,
    )
    with show_progress(bars=not json) as progress:
        report = evaluate_networks(
            scene,
            [chosen, *(compare or [])],
            choice,
            seeds=parse_seeds(seeds),
            frames=frames,
            progress=progress,
        )
    if json:
        print(msgspec.json.encode(report).decode())
    else:
        _print_table(report)


def parse_seeds(text: str | None) -> list[int] | None:
    """A-B or A -> every seed from A to B; raises UserError for anything else."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last < first + MOST_SEEDS:
        raise UserError(f"--seeds {text} is not A-B with A up to B; such as --seeds 1-5")
    return list(range(first, last + 1))


def _print_table(report: EvaluateReport) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from mgdn_edge.runtime.measure.evaluate import mean_quality

    table = Table(
        title=f"{report.scene}, against truth",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("network", overflow="fold")
    for heading in ("seed", "person", "text", "noise", "overshoot", "p95", "PSNR", "SSIM"):
        table.add_column(heading, justify="right", no_wrap=True)
    seeds = len(report.rows) // len(report.sessions)
    for index, session in enumerate(report.sessions):
        rows = report.rows[index * seeds : (index + 1) * seeds]
        for row in rows:
            table.add_row(row.network, str(row.seed), *_cells(row.quality))
        if seeds > 1:
            mean = mean_quality([row.quality for row in rows])
            table.add_row(session.network, "mean", *_cells(mean), end_section=True)
    Console().print(table)
    for session in report.sessions:
        filtered = session.filter_implementation and f", {session.filter_implementation} filter"
        print(
            f"{session.network}: {session.backend}, {session.variant}, {session.precision}"
            f"{filtered or ''}"
        )
        for fact, text in session.execution.items():
            print(f"{session.network}, {fact}: {text}")


def _cells(quality: TruthQuality) -> list[str]:
    return [
        _text(quality.person_contrast, "{:.1%}"),
        _text(quality.text_contrast, "{:.1%}"),
        _text(quality.noise_gain, "{:.2f}"),
        _text(quality.overshoot, "{:.1%}"),
        _text(quality.overshoot_p95, "{:.1%}"),
        f"{quality.psnr:.2f}",
        f"{quality.ssim:.3f}",
    ]


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
