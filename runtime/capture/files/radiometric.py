"""FLIR radiometric JPEG: the temperatures inside, through flyr, as counts of 10 mK from 0 K."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError

# An APP1 segment (marker, length) that begins with FLIR and a zero holds the sensor's record.
RECORD = b"FLIR\x00\x01"
JPEG_SIGNATURE = b"\xff\xd8\xff"
COUNTS_PER_KELVIN = 100  # --infrared-scale 0.01, as a radiometric Lepton counts
INSTALL = "pip install 'mgdn-edge[thermal]'"


def is_radiometric(data: bytes) -> bool:
    """Whether a file's bytes are those of a JPEG with a FLIR record."""
    return data.startswith(JPEG_SIGNATURE) and RECORD in data


def read_radiometric(data: bytes, path: Path) -> npt.NDArray[np.uint16]:
    """JPEG with a FLIR record -> (h, w) uint16 hundredths of a kelvin, of the sensor's own size.

    Raises UserError where flyr is missing or the record cannot be read.
    """
    try:
        import flyr
    except ImportError:
        raise UserError(
            f"{path} is a FLIR radiometric JPEG, and reading its temperatures needs flyr; run: "
            f"{INSTALL}, or convert it to PNG to use the picture it shows"
        ) from None
    try:
        kelvin = np.asarray(flyr.unpack(io.BytesIO(data)).kelvin, np.float64)
    except Exception as error:  # noqa: BLE001 - flyr raises whatever its parsing stumbles over
        raise UserError(
            f"{path} holds a FLIR record that cannot be read ({type(error).__name__}: {error}); "
            "convert it to PNG to use the picture it shows"
        ) from None
    counts: npt.NDArray[np.uint16] = np.clip(
        np.rint(np.nan_to_num(kelvin) * COUNTS_PER_KELVIN), 0, np.iinfo(np.uint16).max
    ).astype(np.uint16)
    return counts
