"""``mgdn align``: parses, measures one way, prints what was written."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    InfraredLuma,
    InfraredPassword,
    InfraredSpan,
    OverwriteFiles,
    VisiblePassword,
    give_password,
    may_overwrite,
    parse_size,
)
from mgdn_edge.runtime.errors import UserError

if TYPE_CHECKING:
    from mgdn_edge.runtime.alignment.measure.align import AlignReport

EPILOG = """Examples:

  mgdn align vi.mp4 ir.mp4 rig.toml

  mgdn align vi.png ir.png rig.toml --points points.csv

  mgdn align board_vi.mp4 board_ir.mp4 rig.toml --target board:8x5:40

  mgdn align vi.png ir.png rig.toml --click

  mgdn fuse vi.mp4 ir.mp4 fused.mp4 --rig rig.toml
"""


class AreaChoice(str, Enum):
    """Which part of the visible picture is shown."""

    FILL = "fill"
    CROP = "crop"


def register(app: typer.Typer) -> None:
    """Add ``mgdn align``."""
    app.command("align", epilog=EPILOG)(align_command)


def align_command(
    visible: Annotated[
        str, typer.Argument(metavar="VISIBLE", help="Video, image or folder, as for mgdn fuse.")
    ],
    infrared: Annotated[
        str, typer.Argument(metavar="INFRARED", help="The same moments, of any size.")
    ],
    output: Annotated[
        Path, typer.Argument(metavar="RIG.toml", help="The rig file; RIG.png shows it.")
    ],
    points: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Point pairs x_vis,y_vis,x_ir,y_ir as .csv or .json, instead of the scene.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:COLUMNSxROWS[:MM]",
            help="A board (inner corners) or circles both cameras see, such as board:8x5:40.",
        ),
    ] = None,
    click: Annotated[
        bool, typer.Option("--click", help="Serve a local page to click point pairs on.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of that page; 0 takes a free one.")
    ] = 0,
    area: Annotated[
        AreaChoice,
        typer.Option(help="fill: all the visible camera sees. crop: what both cameras see."),
    ] = AreaChoice.FILL,
    size: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="Size of the fused picture; default visible's."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Frames looked at; default 8, 40 with --target."),
    ] = None,
    distance: Annotated[
        float | None, typer.Option(metavar="METRES", help="How far away the scene is.")
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add this distance to the existing rig file.")
    ] = False,
    infrared_luma: InfraredLuma = False,
    infrared_span: InfraredSpan = None,
    visible_password_file: VisiblePassword = None,
    infrared_password_file: InfraredPassword = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Figures as one JSON object.")] = False,
) -> None:
    """Measure how infrared lies on the visible picture and write a rig file."""
    import msgspec

    from mgdn_edge.runtime.alignment.measure.align import (
        DEFAULT_FRAMES,
        TARGET_FRAMES,
        RigRequest,
        align_by_points,
        align_by_scene,
        align_by_target,
    )
    from mgdn_edge.runtime.capture.sources import InfraredOptions
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.thermal.count_scale import parse_span

    if (points is not None) + (target is not None) + click > 1:
        raise UserError("--points, --target and --click are three ways to measure; pass one")
    visible = give_password(visible, "visible", visible_password_file)
    infrared = give_password(infrared, "infrared", infrared_password_file)
    working = parse_size(size) if size is not None else None
    request = RigRequest(area.value, working, distance, add)
    options = InfraredOptions(infrared_luma, parse_span(infrared_span))
    if points is not None:
        report = align_by_points(
            visible,
            infrared,
            output,
            points,
            request=request,
            infrared_options=options,
            overwrite=may_overwrite(overwrite),
        )
    elif click:
        from mgdn_edge.runtime.alignment.measure.click_page import align_by_clicks

        report = align_by_clicks(
            visible,
            infrared,
            output,
            request=request,
            infrared_options=options,
            port=port,
            on_ready=lambda url: print(f"open {url}", file=sys.stderr, flush=True),
            overwrite=may_overwrite(overwrite),
        )
    elif target is not None:
        with show_progress(bars=not json) as progress:
            report = align_by_target(
                visible,
                infrared,
                output,
                target,
                frames=frames or TARGET_FRAMES,
                request=request,
                infrared_options=options,
                progress=progress,
                overwrite=may_overwrite(overwrite),
            )
    else:
        with show_progress(bars=not json) as progress:
            report = align_by_scene(
                visible,
                infrared,
                output,
                frames=frames or DEFAULT_FRAMES,
                request=request,
                infrared_options=options,
                progress=progress,
                overwrite=may_overwrite(overwrite),
            )
    print(msgspec.json.encode(report).decode()) if json else print_alignment(report)


def print_alignment(report: AlignReport) -> None:
    """What was written, how good it is, what to type next."""
    width, height = report.working_width_height
    print(f"{report.rig}: {width}x{height}, by {report.method}; look at {report.overlay}")
    if report.confidence is not None:
        print(f"confidence {report.confidence:.3f}: {report.evidence} parts of the picture agree")
    print(
        f"misalignment about {report.error_px:.2f} px of the visible camera ({report.error_from})"
    )
    share = f"infrared covers {report.coverage:.0%} of the picture"
    if report.coverage < 0.995:
        share += "; elsewhere it shows the visible camera alone (--area crop cuts to what both see)"
    print(share)
    for note in report.notes:
        print(note)
    print(f"next: mgdn fuse VISIBLE INFRARED OUTPUT --rig {report.rig}")
