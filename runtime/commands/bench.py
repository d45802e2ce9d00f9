"""mgdn bench: parses, calls bench_networks, prints its figures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    Backend,
    BundleFile,
    Fallback,
    Filter,
    NetworkName,
    OverwriteFiles,
    PrecisionOption,
    ReportFile,
    Threads,
    VariantOption,
    choose_network,
    may_overwrite,
    parse_size,
)

if TYPE_CHECKING:
    from mgdn_edge.runtime.measure.bench_result import BenchReport

EPILOG = """Examples:

  mgdn bench

  mgdn bench --network mgdn-edge --size 640x512 --threads 2

  mgdn bench --filter body --compare mgdn-edge --report bench.html

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
    variant: VariantOption = None,
    precision: PrecisionOption = None,
    threads: Threads = None,
    filter: Filter = None,
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
    from mgdn_edge.runtime.bundle.network_names import BASELINES, find_bundle
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.measure.bench import bench_networks
    from mgdn_edge.runtime.report.bench_report import write_bench_report
    from mgdn_edge.runtime.whole_file import Outputs, beside

    networks = [choose_network(bundle, network), *(compare or [])]
    retain_pages()
    bundles = [find_bundle(name) for name in networks if name not in BASELINES]
    outputs = Outputs(bundles, may_overwrite(overwrite))
    page = None if report is None else outputs.claim(report, "--report", ".html")
    choice = SessionChoice(
        backend=backend,
        fallback=fallback,
        variant=variant,
        precision=precision,
        threads=threads,
        filter=filter,
    )
    with show_progress(bars=not json) as progress:
        result = bench_networks(
            networks,
            choice,
            size=parse_size(size),
            frames=frames,
            warmup=warmup,
            progress=progress,
        )
    _print_json(result.report) if json else _print_table(result.report)
    if page is not None:
        with beside():
            write_bench_report(page, result, command_text(sys.argv[1:]))


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
        for fact, text in row.execution.items():
            print(f"{row.network}, {fact}: {text}")
