"""``mgdn demo``: parses, calls run_demo, prints its figures."""

from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.commands.options import OverwriteFiles, may_overwrite


def register(app: typer.Typer) -> None:
    """Add ``mgdn demo``."""
    app.command("demo")(demo_command)


def demo_command(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to fill.")] = Path("out"),
    overwrite: OverwriteFiles = False,
) -> None:
    """Draw a small scene, fuse it, leave OUT/demo.mp4, OUT/demo.png and a latency table.

    What an earlier demo left in OUT is replaced: OUT/demo.json knows it by its digests.
    """
    from mgdn_edge.runtime.commands.fuse_figures import print_table
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.stream.demo import run_demo

    retain_pages()
    with show_progress(bars=True) as progress:
        summary = run_demo(folder, overwrite=may_overwrite(overwrite), progress=progress)
    print_table(summary)
    typer.echo(f"look at {folder / 'demo.png'} (visible | infrared | fused)")
