"""A CameraRig as TOML with comments, written whole; tomllib reads back equal values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from mgdn_edge.runtime.alignment.apply.rig_file import CameraRig
from mgdn_edge.runtime.whole_file import Outputs, Overwrite

HEADER = """\
# How the infrared camera's picture lies on the visible camera's. Sizes and views are in
# pixels, width before height; pixel 0 is the centre of the first one.
"""
# What follows a key or a table on its line, for whoever edits the file.
COMMENTS = {
    "area": "fill: all the visible camera sees; crop: what both see",
    "working_size": "the fused picture",
    "view": "the part of the visible picture it shows: left, top, size",
    "clock_offset_ms": "infrared stamps minus visible stamps",
    "visible.distortion": "k1, k2, p1, p2, k3",
    "infrared.distortion": "k1, k2, p1, p2, k3",
    "plane": "infrared pixels (x, y, 1) to visible pixels",
    "pose": "infrared camera coordinates to visible ones, metres",
    "quality.error_px": "expected misalignment, visible pixels",
    "quality.coverage": "share of the view that infrared covers",
}
ROUNDED = ("clock_offset_ms", "distance_m", "error_px", "coverage", "confidence")
DIGITS = 12  # after the point: what a measurement cannot know is not written


def write_rig(path: Path, rig: CameraRig, overwrite: Overwrite = False) -> None:
    """Write ``rig`` to ``path``; raises UserError where that cannot be written."""
    Outputs([], overwrite).claim(path, "RIG", ".toml").write(rig_text(rig).encode())


def rig_text(rig: CameraRig) -> str:
    """CameraRig -> TOML. Numbers of matrices keep every digit that distinguishes them."""
    values = msgspec.to_builtins(rig, enc_hook=float)  # NumPy's numbers, too
    values["clock_offset_ms"] = rig.clock_offset_ms  # 0 is said, not left out
    text = tomli_w.dumps(_round(values))
    # A row of numbers on one line. Strings hold no bare line feed, so none is touched.
    text = re.sub(r"\[\n([^\[\]]*?),\n *\]", lambda row: f"[{' '.join(row[1].split())}]", text)
    return HEADER + _with_comments(text)


def _round(value: Any) -> Any:  # noqa: ANN401 - any part of a TOML document
    if isinstance(value, dict):
        return {
            key: round(float(part), DIGITS) if key in ROUNDED else _round(part)
            for key, part in value.items()
        }
    return [_round(part) for part in value] if isinstance(value, (list, tuple)) else value


def _with_comments(text: str) -> str:
    lines, table = [], ""
    for line in text.splitlines():
        header, key = re.fullmatch(r"\[+(\w+)\]+", line), re.match(r"(\w+) = ", line)
        name = ""  # of a line that only continues a value
        if header:
            name = table = header[1]
        elif key:
            name = f"{table}.{key[1]}".lstrip(".")
        lines.append(f"{line} # {COMMENTS[name]}" if name in COMMENTS else line)
    return "\n".join(lines) + "\n"
