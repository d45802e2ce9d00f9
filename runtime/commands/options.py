"""Option values that several commands take."""

import re
from typing import Annotated

import typer

from mgdn_edge.runtime.errors import UserError

Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="onnxruntime-cpu (default), onnxruntime-cuda, tensorrt; never replaced by another.",
    ),
]
Fallback = Annotated[
    str | None,
    typer.Option(
        metavar="BACKEND", help="Take this backend where the device cannot serve the one asked for."
    ),
]


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width) in pixels; raises UserError for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise UserError(f"--size {text} is not WIDTHxHEIGHT; two numbers, such as 640x480")
    return int(found[2]), int(found[1])
