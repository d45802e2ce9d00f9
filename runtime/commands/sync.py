"""mgdn sync: parses, calls measure_clock on two recordings or cameras, prints the offset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.commands.options import (
    InfraredPassword,
    OverwriteFiles,
    VisiblePassword,
    give_password,
    may_overwrite,
)

if TYPE_CHECKING:
    from mgdn_edge.runtime.pairing.clock_fit import ClockFit

EPILOG = """Examples:

  mgdn sync vi.mp4 ir.mp4

  mgdn sync vi.mp4 ir.mp4 --output clock.json && mgdn fuse vi.mp4 ir.mp4 out.mp4 --clock clock.json
"""


def register(app: typer.Typer) -> None:
    """Add ``mgdn sync``."""
    app.command("sync", epilog=EPILOG)(sync_command)


def sync_command(
    visible: Annotated[
        str, typer.Argument(metavar="VISIBLE", help="Video, camera or synthetic://.")
    ],
    infrared: Annotated[
        str, typer.Argument(metavar="INFRARED", help="Video, camera or synthetic://.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write it for fuse --clock.")
    ] = None,
    within: Annotated[
        float, typer.Option(metavar="MS", min=300, max=60_000, help="Largest offset looked for.")
    ] = 1000.0,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=1, max=600, help="How much of each to read.")
    ] = 60.0,
    rig: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Align the views as mgdn align says.")
    ] = None,
    infrared_span: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Infrared counts that become 0 and 255.")
    ] = None,
    visible_password_file: VisiblePassword = None,
    infrared_password_file: InfraredPassword = None,
    overwrite: OverwriteFiles = False,
    json: Annotated[bool, typer.Option("--json", help="The clock as one JSON object.")] = False,
) -> None:
    """Measure how far the clocks of two aligned cameras are apart, from what moves in both."""
    import msgspec

    from mgdn_edge.runtime.capture.sources import InfraredOptions, source_files
    from mgdn_edge.runtime.commands.progress import show_progress
    from mgdn_edge.runtime.pairing.clock_fit import write_clock
    from mgdn_edge.runtime.secrets.redaction import redact
    from mgdn_edge.runtime.sync.sync_sources import sync_sources
    from mgdn_edge.runtime.thermal.count_scale import parse_span
    from mgdn_edge.runtime.whole_file import Outputs, beside

    inputs = [*source_files(visible, infrared), *([] if rig is None else [rig])]
    outputs = Outputs(inputs, may_overwrite(overwrite))
    clock = None if output is None else outputs.claim(output, "--output", ".json")
    with show_progress(bars=not json) as progress:
        fit = sync_sources(
            give_password(visible, "visible", visible_password_file),
            give_password(infrared, "infrared", infrared_password_file),
            within_ms=within,
            seconds=seconds,
            rig=rig,
            # Without a span, 16-bit counts are shown as the scene asks: only what moves matters.
            infrared_options=InfraredOptions(
                span=parse_span(infrared_span),
                agc=None if infrared_span else "percentile",
            ),
            progress=progress,
        )
    if json:
        print(msgspec.json.encode(fit).decode())
    else:
        print_clock(fit)
    if clock is not None:
        with beside():
            write_clock(clock, fit)
    if not json:
        use = f"--clock {output}" if output else f"--offset {fit.offset_ms:g}"
        use += f" --rig {rig}" if rig else ""
        use += f" --skew-ppm {fit.skew_ppm:g}" if fit.skew_ppm and not output else ""
        print(redact(f"mgdn fuse {visible} {infrared} fused.mp4 {use}"))


def print_clock(fit: ClockFit) -> None:
    """How the infrared clock reads beside the visible one."""
    skew = f", and runs {fit.skew_ppm:+.0f} ppm faster" if fit.skew_ppm else ""
    print(
        f"the infrared clock reads {fit.offset_ms:+.1f} ms (+- {fit.error_ms:.1f}) beside the "
        f"visible one{skew}"
    )
