"""Option values that several commands take."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgdn_edge.runtime.errors import UserError, printable
from mgdn_edge.runtime.fusion.contract.backend_names import FilterChoice

if TYPE_CHECKING:
    from mgdn_edge.runtime.capture.cameras.camera_password import Role
    from mgdn_edge.runtime.picture.frame import Size
    from mgdn_edge.runtime.whole_file import Overwrite

# What list_recordings reads, for the help of every command that takes it.
DATA_FORMS = (
    "{} is a folder with vi and ir (folders of images, clips or images), VISIBLE,INFRARED, a "
    "FOLDER with manifest.csv (its rows of split {}), or FOLDER#SET:SPLIT (SET alone takes every "
    "split, :SPLIT every set)."
)

BundleFile = Annotated[
    Path | None, typer.Option("--bundle", metavar="FILE", help="Network as a .mgdn file.")
]
NetworkName = Annotated[
    str | None,
    typer.Option("--network", metavar="NAME", help="Network by name; default mgdn-edge."),
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="Precision of the variant.")
]
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Also write a page to look at.")
]
OverwriteFiles = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        "-y",
        help="Replace files that exist; without it you are asked at a terminal, refused elsewhere.",
    ),
]
VisiblePassword = Annotated[
    Path | None,
    typer.Option(
        "--visible-password-file",
        metavar="FILE",
        help="Password of VISIBLE's user, on one line; or set MGDN_VISIBLE_PASSWORD.",
    ),
]
InfraredPassword = Annotated[
    Path | None,
    typer.Option(
        "--infrared-password-file",
        metavar="FILE",
        help="Password of INFRARED's user, on one line; or set MGDN_INFRARED_PASSWORD.",
    ),
]
OutputPassword = Annotated[
    Path | None,
    typer.Option(
        "--output-password-file",
        metavar="FILE",
        help="Password of the user in rtsp://USER@... of OUTPUT; or set MGDN_OUTPUT_PASSWORD.",
    ),
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
VariantOption = Annotated[str | None, typer.Option(help="Variant of the bundle, such as 640x480.")]
Filter = Annotated[
    FilterChoice | None,
    typer.Option(
        help="native: need the native DynamicFilter; body: standard operators, slower; "
        "default: native where installed, always with TensorRT.",
    ),
]


def choose_network(bundle: Path | None, network: str | None) -> Path | str:
    """What ``--bundle`` or ``--network`` names, else the default; UserError for both."""
    from mgdn_edge.runtime.stream.request import DEFAULT_NETWORK

    if bundle is not None and network is not None:
        raise UserError("both --bundle and --network were given; pass one of them")
    return bundle or network or DEFAULT_NETWORK


def may_overwrite(given: bool) -> "Overwrite":
    """``--overwrite``; without it the person at the terminal is asked, where there is one."""
    if given or not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return given
    return _ask_to_replace


def _ask_to_replace(path: Path) -> bool:
    what = "is not empty; replace what mgdn wrote there" if path.is_dir() else "exists; replace it"
    return typer.confirm(f"{printable(str(path))} {what}?", err=True)


def give_password(address: str, role: "Role", file: Path | None) -> str:
    """``address`` with the password that ``file`` or the environment holds for ``role``."""
    from mgdn_edge.runtime.capture.cameras.camera_password import with_password

    return with_password(address, role, file, lambda notice: typer.echo(notice, err=True))


def parse_size(text: str) -> "Size":
    """WIDTHxHEIGHT -> (height, width) in pixels; raises UserError for anything else."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None or not int(found[1]) or not int(found[2]):
        raise UserError(f"--size {text} is not WIDTHxHEIGHT; two numbers, such as 640x480")
    return int(found[2]), int(found[1])
