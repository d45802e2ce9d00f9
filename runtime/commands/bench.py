"""mgdn bench: parses, calls bench_networks, prints its figures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    Backend,
    BundleFile,
    Fallback,
    NetworkName,
    OverwriteFiles,
    Precision,
    ReportFile,
    Threads,
    choose_network,
    may_overwrite,
    parse_size,
)
from mgdn_edge.runtime.errors import EndedEarlyError

if TYPE_CHECKING:
    from mgdn_edge.runtime.bench import BenchReport

EPILOG = """Examples:

  mgdn bench

  mgdn bench --network mgdn-edge --size 640x512 --threads 2

  mgdn bench --no-native --compare mgdn-edge --report bench.html

  mgdn bench --bundle scene.mgdn --compare mgdn-edge --compare laplacian --json
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn bench``, a command that other folders give subcommands."""
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback(epilog=EPILOG)(bench_command)
    app.add_typer(group, name="bench")


def bench_group(app: typer.Typer) -> typer.Typer:
    """The group ``register`` has added."""
    groups = (group.typer_instance for group in app.registered_groups if group.name == "bench")
    found = next(groups)
    assert found is not None
    return found


def bench_command(
    context: typer.Context,
    bundle: BundleFile = None,
    network: NetworkName = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Frame size.")] = "640x480",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames timed.")] = 100,
    warmup: Annotated[int, typer.Option(metavar="N", help="Frames fused before timing.")] = 10,
    backend: Backend = None,
    fallback: Fallback = None,
    variant: Annotated[str | None, typer.Option(help="Variant of the bundle.")] = None,
    precision: Precision = None,
    threads: Threads = None,
    native: Annotated[
        bool | None,
        typer.Option(
            "--native/--no-native",
            help="Need the native DynamicFilter, or leave it out; default: where installed.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Also time this network, in turns; repeatable."),
    ] = None,
    report: ReportFile = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Figures as one JSON object.")] = False,
) -> None:
    """Time fusion alone on drawn frames: no decoding, no encoding."""
    if context.invoked_subcommand is not None:
        return
    from mgdn_edge.runtime.bench import bench_networks
    from mgdn_edge.runtime.page_retention import retain_pages
    from mgdn_edge.runtime.report.environment import command_text

    chosen = choose_network(bundle, network)
    retain_pages()
    show = _print_json if json else _print_table
    try:
        figures = bench_networks(
            [chosen, *(compare or [])],
            size=parse_size(size),
            frames=frames,
            warmup=warmup,
            backend=backend,
            fallback=fallback,
            variant=variant,
            precision=precision,
            threads=threads,
            native=native,
            report=report,
            command=command_text(sys.argv[1:]),
            overwrite=may_overwrite(overwrite),
        )
    except EndedEarlyError as error:
        show(error.figures)
        raise
    show(figures)


def _print_json(report: BenchReport) -> None:
    import msgspec

    print(msgspec.json.encode(report).decode())


def _print_table(report: BenchReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"fuse at {report.size}, ms", title_justify="left")
    table.add_column("network (backend, variant, precision)", overflow="fold")
    for heading in ("p50", "p95", "p99", "n", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.networks:
        times = (row.fuse.p50, row.fuse.p95, row.fuse.p99)
        filtered = row.filter_implementation and f", {row.filter_implementation} filter"
        table.add_row(
            f"{row.network} ({row.backend}, {row.variant}, {row.precision}{filtered or ''})",
            *(f"{time:.2f}" for time in times),
            str(row.fuse.n),
            f"{row.ratio:.2f}",
        )
    Console().print(table)
    for row in report.networks:
        for fact, told in row.execution.items():
            print(f"{row.network}, {fact}: {told}")
