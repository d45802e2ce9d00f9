"""mgdn accept: parses, calls accept_bundle, leaves the folder to send back."""

from __future__ import annotations

import sys
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
    from mgdn_edge.runtime.commands.progress import show_progress
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
    with show_progress(bars=not as_json) as progress:
        report = accept_bundle(request, files.keep, progress=progress)
    if as_json:
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(report.verdict)
    files.check()
    if not as_json:
        typer.echo(f"to send back: {folder / REPORT_FILE} and {folder / PAGE_FILE}")
    raise typer.Exit(report.exit_code if report.complete else INTERRUPTED)
