"""mgdn accept: parses, calls accept_bundle, leaves the folder to send back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.commands.options import Filter, OverwriteFiles, Threads, may_overwrite
from mgdn_edge.runtime.errors import INTERRUPTED

EPILOG = """Examples:

  mgdn accept

  mgdn accept scene.mgdn --out board-7

  mgdn accept --backend onnxruntime-cpu --soak 10

Exit code 0: accepted. 1: not accepted. 3: the device could not do something needed.
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn accept``."""
    app.command("accept", epilog=EPILOG)(accept_command)


def accept_command(
    bundle: Annotated[
        str, typer.Argument(help="A .mgdn file or a packaged network's name.", metavar="BUNDLE")
    ] = "mgdn-edge",
    backend: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="tensorrt (default), onnxruntime-cuda, onnxruntime-cpu."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder to write; default accept-HOST-DATE."),
    ] = None,
    soak: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to fuse without pause.")
    ] = 60.0,
    frames: Annotated[
        int, typer.Option(min=10, metavar="N", help="Frames timed at each size, at most a minute.")
    ] = 200,
    threads: Threads = None,
    filter: Filter = None,
    overwrite: OverwriteFiles = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Try a bundle on this machine, doctor to soak; leave one JSON and one page to send back."""
    import msgspec

    from mgdn_edge.runtime.bundle.network_names import find_bundle
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.measure.acceptance.accept import accept_bundle
    from mgdn_edge.runtime.measure.acceptance.accept_request import AcceptRequest
    from mgdn_edge.runtime.report.accept_report import (
        PAGE_FILE,
        REPORT_FILE,
        AcceptanceFiles,
        choose_folder,
    )

    retain_pages()
    request = AcceptRequest(
        bundle,
        SessionChoice(backend=backend, threads=threads, filter=filter),
        frames=frames,
        soak_seconds=soak,
        command=command_text(sys.argv[1:]),
    )
    folder = choose_folder(out)
    files = AcceptanceFiles(folder, [find_bundle(bundle)], may_overwrite(overwrite))
    report = accept_bundle(
        request,
        files.keep,
        tell=lambda sentence: typer.echo(sentence, err=True),
        show=show_bar,
    )
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(report.verdict)
    files.check()
    if not as_json:
        typer.echo(f"to send back: {folder / REPORT_FILE} and {folder / PAGE_FILE}")
    raise typer.Exit(report.exit_code if report.complete else INTERRUPTED)


@contextmanager
def show_bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr where that is a terminal, else silence."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
