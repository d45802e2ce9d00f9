"""mgdn fuse: parses, calls fuse_files, prints its figures."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    Backend,
    BundleFile,
    Fallback,
    Filter,
    InfraredLuma,
    InfraredPassword,
    InfraredSpan,
    NetworkName,
    OutputPassword,
    OverwriteFiles,
    PrecisionOption,
    ReportFile,
    Threads,
    VariantOption,
    VisiblePassword,
    choose_network,
    give_password,
    may_overwrite,
)
from mgdn_edge.runtime.errors import INTERRUPTED

EPILOG = """Examples:

  mgdn fuse vi.mp4 ir.mp4 fused.mp4

  mgdn fuse vi/ ir/ fused/ --network laplacian

  mgdn fuse vi.png ir.png fused.png --bundle scene.mgdn

  mgdn fuse vi.mp4 ir.mp4 fused.mp4 --pace source --json > figures.json

  mgdn fuse vi.mp4 ir.mp4 fused.mp4 --report report.html --trace trace.json

  mgdn fuse vi.mp4 ir.mp4 fused.mp4 --clock clock.json

  mgdn fuse vi.mp4 ir.mp4 fused.mp4 --rig rig.toml

  mgdn fuse vi.mp4 raw16/ fused.mp4 --infrared-span 7200:9100 --resize --shortest

  mgdn fuse vi.mp4 ir16.mkv fused.mp4 --infrared-agc plateau --record-infrared counts.mkv
"""


class PaceChoice(str, Enum):
    """The two clocks a stream can follow."""

    NONE = "none"
    SOURCE = "source"


class PairChoice(str, Enum):
    """What becomes of a visible frame whose infrared partner is missing."""

    DROP = "drop"
    NEAREST = "nearest"
    HOLD = "hold"


class AgcChoice(str, Enum):
    """How counts become levels when no span is fixed."""

    PERCENTILE = "percentile"
    PLATEAU = "plateau"


def register(app: typer.Typer) -> None:
    """Add ``mgdn fuse``."""
    app.command("fuse", epilog=EPILOG)(fuse_command)


def fuse_command(
    visible: Annotated[
        str, typer.Argument(metavar="VISIBLE", help="Video, image, folder or synthetic://night.")
    ],
    infrared: Annotated[
        str, typer.Argument(metavar="INFRARED", help="Video, image, folder or synthetic://night.")
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="Video (.mp4 .mov .mkv), folder of PNG, or one image."
        ),
    ],
    bundle: BundleFile = None,
    network: NetworkName = None,
    backend: Backend = None,
    fallback: Fallback = None,
    variant: VariantOption = None,
    precision: PrecisionOption = None,
    threads: Threads = None,
    filter: Filter = None,
    frames: Annotated[int | None, typer.Option(metavar="N", help="Stop after N pairs.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Resize infrared to visible.")] = False,
    shortest: Annotated[
        bool, typer.Option("--shortest", help="Stop at the shorter clip; fuse common stems only.")
    ] = False,
    rig: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Align the cameras as mgdn align measured."),
    ] = None,
    distance: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="Distance to align for, with --rig."),
    ] = None,
    realign: Annotated[
        bool, typer.Option("--realign", help="Correct the rig while it drifts slowly.")
    ] = False,
    pace: Annotated[
        PaceChoice,
        typer.Option(
            help="none: every frame, as fast as possible. source: the clip's own clock, "
            "overtaken frames dropped."
        ),
    ] = PaceChoice.NONE,
    offset: Annotated[
        float | None,
        typer.Option(metavar="MS", help="Infrared stamps minus visible ones; pairs by time."),
    ] = None,
    skew_ppm: Annotated[
        float | None, typer.Option(metavar="N", help="How much faster the infrared clock runs.")
    ] = None,
    clock: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Both, as mgdn sync measured them.")
    ] = None,
    pair: Annotated[
        PairChoice | None,
        typer.Option(
            help="drop: leave out frames without a partner within half a frame. nearest: the "
            "nearest, however far. hold: the last infrared frame before."
        ),
    ] = None,
    infrared_luma: InfraredLuma = False,
    infrared_span: InfraredSpan = None,
    infrared_agc: Annotated[
        AgcChoice | None,
        typer.Option(help="Levels from 16-bit counts that follow the scene without flicker."),
    ] = None,
    infrared_scale: Annotated[
        str | None,
        typer.Option(
            metavar="K[:K0]", help="Kelvin per count (and at 0), for spans such as 10C:40C."
        ),
    ] = None,
    infrared_black_hot: Annotated[
        bool,
        typer.Option(
            "--infrared-black-hot", help="Invert the levels of a camera that shows heat dark."
        ),
    ] = False,
    infrared_repair: Annotated[
        bool, typer.Option("--infrared-repair", help="Find dead infrared pixels and fill them.")
    ] = False,
    infrared_steady: Annotated[
        bool, typer.Option("--infrared-steady", help="Take back jumps of an 8-bit camera's gain.")
    ] = False,
    record_infrared: Annotated[
        Path | None,
        typer.Option(metavar="FILE.mkv", help="Also keep the 16-bit counts, lossless."),
    ] = None,
    visible_password_file: VisiblePassword = None,
    infrared_password_file: InfraredPassword = None,
    output_password_file: OutputPassword = None,
    report: ReportFile = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Also write a Chrome trace, for Perfetto."),
    ] = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="Figures as one JSON object.")] = False,
) -> None:
    """Fuse two recordings, registered or with a rig, into OUTPUT; report every stage's latency.

    OUTPUT grows as NAME.part.mp4 or NAME.part/ and is renamed at the end. Ctrl-C or an error leaves
    it there, playable; live cameras have no other end, so Ctrl-C completes their recording.
    """
    from mgdn_edge.runtime.capture.sources import InfraredOptions
    from mgdn_edge.runtime.commands.fuse_figures import print_summary_json, print_table
    from mgdn_edge.runtime.commands.interrupt import stop_on_signal
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.fusion.contract.session_choice import SessionChoice
    from mgdn_edge.runtime.machine.environment import command_text
    from mgdn_edge.runtime.machine.page_retention import retain_pages
    from mgdn_edge.runtime.pairing.timed_options import timed_options
    from mgdn_edge.runtime.report.side_files import SideFiles
    from mgdn_edge.runtime.stream.fuse_files import fuse_files
    from mgdn_edge.runtime.stream.request import FuseRequest
    from mgdn_edge.runtime.thermal.count_scale import parse_scale, parse_span
    from mgdn_edge.runtime.whole_file import Outputs

    chosen = choose_network(bundle, network)
    retain_pages()
    scale = parse_scale(infrared_scale)
    show = print_summary_json if json else print_table
    outputs = Outputs((), may_overwrite(overwrite))
    beside = SideFiles.claim(outputs, report, trace)
    request = FuseRequest(
        visible=give_password(visible, "visible", visible_password_file),
        infrared=give_password(infrared, "infrared", infrared_password_file),
        output=give_password(output, "output", output_password_file),
        network=chosen,
        choice=SessionChoice(
            backend=backend,
            fallback=fallback,
            variant=variant,
            precision=precision,
            threads=threads,
            filter=filter,
        ),
        frames=frames,
        shortest=shortest,
        resize=resize,
        rig=rig,
        distance_m=distance,
        realign=realign,
        timing=timed_options(offset, skew_ppm, clock, pair.value if pair else None),
        pace=pace.value,
        infrared_options=InfraredOptions(
            luma=infrared_luma,
            span=parse_span(infrared_span, scale),
            agc=infrared_agc.value if infrared_agc else None,
            black_hot=infrared_black_hot,
            repair=infrared_repair,
            steady=infrared_steady,
        ),
        record_infrared=record_infrared,
        infrared_scale=scale,
        keep_pictures=report is not None,
        reads=() if clock is None else (clock,),
    )
    with stop_on_signal() as stop, show_progress(bars=not json) as progress:
        result = fuse_files(request, outputs=outputs, stop=stop, progress=progress)
    show(result.summary)
    beside.write(result, command_text(sys.argv[1:]))
    if result.summary.interrupted:
        raise typer.Exit(INTERRUPTED)
