"""mgdn temperature: parses, calls read_counts, prints the value at a pixel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.errors import UserError


def register(app: typer.Typer) -> None:
    """Add ``mgdn temperature``."""
    app.command("temperature")(temperature_command)


def temperature_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.mkv", help="What fuse --record-infrared wrote.")
    ],
    at: Annotated[str, typer.Option(metavar="X,Y", help="Pixel of the fused picture.")],
    frame: Annotated[int, typer.Option(metavar="N", min=0, help="Frame, from 0.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read what the infrared sensor measured at a pixel of a fused frame."""
    import msgspec

    from mgdn_edge.runtime.output.counts_file import read_counts

    found = re.fullmatch(r"(\d{1,5}),(\d{1,5})", at)
    if found is None:
        raise UserError(f"--at {at} is not X,Y; two whole numbers, such as 320,240")
    reading = read_counts(file, frame, (int(found[1]), int(found[2])))
    if json:
        print(msgspec.json.encode(reading).decode())
        return
    meaning = (
        f"{reading.celsius:.2f} C"
        if reading.celsius is not None
        else "no temperature: fuse with --infrared-scale"
    )
    print(
        f"frame {frame} ({reading.seconds:.3f} s), infrared pixel {reading.x},{reading.y}: "
        f"{reading.count} counts, {meaning}"
    )
