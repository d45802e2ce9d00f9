"""Option values that several commands take."""

import re
from pathlib import Path
from typing import Annotated

import typer

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice

BundleFile = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Network as a .mgdn file.")
]
NetworkName = Annotated[
    str | None,
    typer.Option("--network", metavar="NAME", help="Network by name; default mgdn-edge."),
]
Precision = Annotated[str | None, typer.Option("--precision", help="Precision of the variant.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for inference.")]
InfraredLuma = Annotated[
    bool, typer.Option("--infrared-luma", help="Take a false-colour infrared's luma.")
]
InfraredSpan = Annotated[
    str | None,
    typer.Option(
        "--infrared-span", metavar="LOW:HIGH", help="Infrared counts that become 0 and 255."
    ),
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Also write a page to look at.")
]
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
Variant = Annotated[str | None, typer.Option(help="Variant of the bundle, such as 640x480.")]
Filter = Annotated[
    FilterChoice | None,
    typer.Option(
        help="native: need the native DynamicFilter; body: standard operators, slower; "
        "default: native where installed, always with TensorRT.",
    ),
]


def choose_network(bundle: Path | None, network: str | None) -> Path | str:
    """What ``--bundle`` or ``--network`` names, else the default; UserError for both."""
    from mgdn_edge.runtime.stream.fuse_files import DEFAULT_NETWORK

    if bundle is not None and network is not None:
        raise UserError("both --bundle and --network were given; pass one of them")
    return bundle or network or DEFAULT_NETWORK


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width) in pixels; raises UserError for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise UserError(f"--size {text} is not WIDTHxHEIGHT; two numbers, such as 640x480")
    return int(found[2]), int(found[1])
