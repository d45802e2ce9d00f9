"""The calibration cache and calibrator of TensorRT 10's implicit 8 bits, from the same ranges.

For engines built with JetPack 6's TensorRT 10.3 from the float32 files. A cache is text: a header
line "TRT-VERSION-EntropyCalibration2", then one "TENSOR: SCALE" a line, the scale being the largest
kept magnitude over 127, as eight hexadecimal digits of its float32, most significant byte first.
TensorRT 11 removed all of it: there the 8 bits are in the file, as QuantizeLinear pairs.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from mgdn_edge.calibration.clip_points import ClipPoints, Scheme, make_grid
from mgdn_edge.runtime.errors import UserError

ALGORITHM = "EntropyCalibration2"
JETPACK_6 = (10, 3, 0)
Version = tuple[int, int, int]


def encode_calibration_cache(
    clips: Mapping[str, ClipPoints], version: Version = JETPACK_6
) -> bytes:
    """Clip points by tensor, a TensorRT version -> the cache file; UserError from 11 on."""
    refuse_removed(version)
    major, minor, patch = version
    lines = [f"TRT-{major * 10000 + minor * 100 + patch}-{ALGORITHM}"]
    for name, points in sorted(clips.items()):
        scale = make_grid(points, Scheme.SYMMETRIC).scale
        lines.append(f"{name}: {struct.pack('>f', scale).hex()}")
    return ("\n".join(lines) + "\n").encode()


def refuse_removed(version: Version) -> None:
    """UserError for a version without calibrators."""
    if version[0] >= 11 or version[0] < 10:
        shown = ".".join(map(str, version))
        raise UserError(
            f"TensorRT {shown} takes no calibration cache from here: calibrators exist in 10.x "
            "only (11 removed them, older ones are not supported); build the int8 variant of the "
            "bundle, whose QuantizeLinear pairs hold the same ranges"
        )


def parse_version(text: str) -> Version:
    """Text such as "10.3" or "10.3.0" -> (10, 3, 0); UserError for anything else."""
    parts = text.split(".")
    if not 2 <= len(parts) <= 4 or not all(part.isdecimal() for part in parts):
        raise UserError(f"TensorRT version {text!r} is not MAJOR.MINOR.PATCH, such as 10.3.0")
    major, minor, patch = (*map(int, parts), 0)[:3]
    return major, minor, patch


def make_calibrator(tensorrt: ModuleType, cache: bytes) -> object:
    """The ``tensorrt`` module and a cache -> an object for ``config.int8_calibrator``.

    It has IInt8EntropyCalibrator2's interface and hands out the cache, never a batch, so nothing is
    calibrated again. Keep a reference while the engine is built. UserError where the module has no
    calibrators.
    """
    version = parse_version(str(tensorrt.__version__))
    refuse_removed(version)

    base: Any = tensorrt.IInt8EntropyCalibrator2

    class CachedCalibrator(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()  # the binding refuses objects whose base was not initialised

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: Sequence[str]) -> None:
            return None

        def read_calibration_cache(self) -> bytes:
            return cache

        def write_calibration_cache(self, written: bytes) -> None:
            """TensorRT writes what it read; ours stays."""

    return CachedCalibrator()
