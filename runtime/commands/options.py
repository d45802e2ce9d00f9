"""Option values that several commands take."""

import re
from typing import Annotated, Literal

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
FilterChoice = Annotated[
    Literal["plugin", "body"] | None,
    typer.Option(
        "--filter",
        help="plugin: need the native DynamicFilter; body: standard operators, slower; "
        "default: native where installed, always with TensorRT.",
    ),
]


def is_native(choice: Literal["plugin", "body"] | None) -> bool | None:
    """``--filter`` -> what ``open_session`` calls ``native``."""
    return None if choice is None else choice == "plugin"


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width) in pixels; raises UserError for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise UserError(f"--size {text} is not WIDTHxHEIGHT; two numbers, such as 640x480")
    return int(found[2]), int(found[1])
