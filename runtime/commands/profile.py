"""``mgdn profile``: parses, calls profile_network, prints what it found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    BundleFile,
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
    pass

EPILOG = """Examples:

  mgdn profile

  mgdn profile --size 640x512 --threads 1 --report profile.html

  mgdn profile --bundle scene.mgdn --filter body --json
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn profile``."""
    app.command("profile", epilog=EPILOG)(profile_command)


def profile_command(
    bundle: BundleFile = None,
    network: NetworkName = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Frame size.")] = "640x480",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames, each fused twice.")] = 60,
    variant: VariantOption = None,
    precision: PrecisionOption = None,
    threads: Threads = None,
    filter: Filter = None,
    report: ReportFile = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Show where a frame's milliseconds go, node by node, and what to do first."""
    import msgspec

    from mgdn_edge.runtime.bundle.network_names import find_bundle
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.measure.profiling.print_profile import print_profile
    from mgdn_edge.runtime.measure.profiling.profile import profile_network
    from mgdn_edge.runtime.report.profile_report import write_profile_report
    from mgdn_edge.runtime.whole_file import Outputs, beside

    chosen = choose_network(bundle, network)
    retain_pages()
    outputs = Outputs([find_bundle(chosen)], may_overwrite(overwrite))
    page = None if report is None else outputs.claim(report, "--report", ".html")
    with show_progress(bars=not json) as progress:
        result = profile_network(
            chosen,
            SessionChoice(variant=variant, precision=precision, threads=threads, filter=filter),
            size=parse_size(size),
            frames=frames,
            progress=progress,
        )
    found = result.report
    print(msgspec.json.encode(found).decode()) if json else print_profile(found)
    if page is not None:
        with beside():
            write_profile_report(page, result, command_text(sys.argv[1:]))
