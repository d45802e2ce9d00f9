"""Options of the commands that speak of engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NetworkArgument = Annotated[
    str, typer.Argument(help="A .mgdn file or a packaged network's name.", metavar="BUNDLE")
]
EngineVariantOption = Annotated[
    str | None, typer.Option(help="One variant; default: every one with a size of its own.")
]
SizeOption = Annotated[
    str | None, typer.Option(metavar="WIDTHxHEIGHT", help="The variant for frames of this size.")
]
BuilderOption = Annotated[
    str, typer.Option(metavar="NAME", help="tensorrt, or tensorrt-rtx ahead of time.")
]
WorkspaceOption = Annotated[
    int, typer.Option(min=1, metavar="MIB", help="Scratch memory one layer may use.")
]
Tf32Option = Annotated[bool, typer.Option("--tf32", help="Compute float32 as TF32.")]
LevelOption = Annotated[
    int, typer.Option(min=0, max=5, help="TensorRT's optimization level; 0 builds quickly.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Engine cache; default: MGDN_CACHE or the user's."),
]
