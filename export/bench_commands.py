"""``mgdn bench filter`` and ``mgdn bench published``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from mgdn_edge.export.bench_filter import FilterReport
    from mgdn_edge.export.bench_published import PublishedReport

ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads [every usable CPU].")]

FILTER_EPILOG = """Examples:

  mgdn bench filter

  mgdn bench filter --rounds 4 --json
"""
PUBLISHED_EPILOG = """Examples:

  mgdn bench published

  mgdn bench published --checkpoint 62000_E.safetensors --size 1280x720
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``bench``, which is there already."""
    from mgdn_edge.runtime.commands.bench import bench_group

    group = bench_group(app)
    group.command("filter", epilog=FILTER_EPILOG)(filter_command)
    group.command("published", epilog=PUBLISHED_EPILOG)(published_command)


def filter_command(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each way.")] = 12,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time the native DynamicFilter beside a copy, the ONNX body and PyTorch.

    Each way has a process of its own, keeps its pages, and runs in turn with the others.
    """
    import msgspec

    from mgdn_edge.export.bench_filter import bench_filter
    from mgdn_edge.plugins.native import NativeLibraryError
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.errors import UserError
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import usable_cpus

    try:
        with show_progress(bars=not as_json) as progress:
            report = bench_filter(
                rounds=rounds, threads=threads or usable_cpus(), progress=progress
            )
    except NativeLibraryError as error:
        raise UserError(f"no native DynamicFilter: {error}") from error
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    _print(filter_table(report))


def published_command(
    variant: Annotated[str, typer.Option(help="mff or mef.")] = "mff",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Published weights [random ones, as fast].")
    ] = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Frame size.")] = "640x480",
    frames: Annotated[int, typer.Option(min=1, help="Frames timed.")] = 4,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Time the published network in PyTorch beside its ONNX file with native operations.

    The published side needs 8 GB at 640x480. Both keep their pages and run in turns.
    """
    import msgspec

    from mgdn_edge.runtime.commands.options import parse_size
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.extras import require_extra
    from mgdn_edge.runtime.fusion.backends.onnxruntime_cpu import usable_cpus

    require_extra("export")
    from mgdn_edge.export.bench_published import bench_published

    with show_progress(bars=not as_json) as progress:
        report = bench_published(
            variant,
            checkpoint,
            size=parse_size(size),
            frames=frames,
            threads=threads or usable_cpus(),
            progress=progress,
        )
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
        return
    _print(published_table(report))


def filter_table(report: "FilterReport") -> "Table":
    """A row for each way on each case."""
    from rich.table import Table

    title = f"DynamicFilter, {report.implementation}, {report.threads} threads, minima"
    table = Table(title=title, title_justify="left")
    table.add_column("case", overflow="fold")
    table.add_column("way", overflow="fold")
    for heading in ("ms", "x copy", "x native", "MiB extra"):
        table.add_column(heading, justify="right", no_wrap=True)
    for figures in report.cases:
        for number, method in enumerate(figures.methods):
            values = (method.wall_ms, method.per_copy, method.per_native, method.extra_mib)
            cells = ["-" if value is None else f"{value:.2f}" for value in values]
            way = f"{method.name}: {method.failure}" if method.failure else method.name
            table.add_row(figures.case if number == 0 else "", way, *cells)
        table.add_section()
    return table


def published_table(report: "PublishedReport") -> "Table":
    """A row for each formulation."""
    from rich.table import Table

    title = (
        f"mgdn {report.variant}, {report.size}, {report.threads} threads, {report.frames} frames"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("formulation", overflow="fold")
    for heading in ("ms", "CPU ms", "peak MiB", "faster"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.formulations:
        values = (row.wall_ms, row.cpu_ms, row.peak_mib, row.times_faster)
        cells = ["-" if value is None else f"{value:.2f}" for value in values]
        table.add_row(f"{row.name}: {row.failure}" if row.failure else row.name, *cells)
    return table


def _print(table: "Table") -> None:
    from rich.console import Console

    Console().print(table)
