"""``mgdn profile``: parses, calls profile_network, prints what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    BundleFile,
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
    from mgdn_edge.runtime.profiling.report import ProfileReport

EPILOG = """Examples:

  mgdn profile

  mgdn profile --size 640x512 --threads 1 --report profile.html

  mgdn profile --bundle scene.mgdn --no-native --json
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn profile``."""
    app.command("profile", epilog=EPILOG)(profile_command)


def profile_command(
    bundle: BundleFile = None,
    network: NetworkName = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Frame size.")] = "640x480",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames, each fused twice.")] = 60,
    variant: Annotated[str | None, typer.Option(help="Variant of the bundle.")] = None,
    precision: Precision = None,
    threads: Threads = None,
    native: Annotated[
        bool | None,
        typer.Option(
            "--native/--no-native",
            help="Need the native operations, or leave them out; default: where installed.",
            show_default=False,
        ),
    ] = None,
    report: ReportFile = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Say where a frame's milliseconds go, node by node, and what to do first."""
    import msgspec

    from mgdn_edge.runtime.page_retention import retain_pages
    from mgdn_edge.runtime.profiling.profile import profile_network
    from mgdn_edge.runtime.profiling.terminal import print_profile
    from mgdn_edge.runtime.report.environment import command_text

    chosen = choose_network(bundle, network)
    retain_pages()

    def show(found: ProfileReport) -> None:
        print(msgspec.json.encode(found).decode()) if json else print_profile(found)

    try:
        with _progress(frames, shown=not json) as on_step:
            found = profile_network(
                chosen,
                size=parse_size(size),
                frames=frames,
                variant=variant,
                precision=precision,
                threads=threads,
                native=native,
                report=report,
                command=command_text(sys.argv[1:]),
                on_step=on_step,
                overwrite=may_overwrite(overwrite),
            )
    except EndedEarlyError as error:
        show(error.figures)
        raise
    show(found)


@contextmanager
def _progress(frames: int, *, shown: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on stderr where somebody may look at it."""
    if not shown or not sys.stderr.isatty():
        yield lambda what, done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    progress = Progress(console=Console(stderr=True), transient=True)
    task = progress.add_task("opening", total=frames)

    def show(what: str, done: int) -> None:
        progress.update(task, description=what, completed=done)
        progress.start()  # not before: a question may be asked until then

    try:
        yield show
    finally:
        progress.stop()
