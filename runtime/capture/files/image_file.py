"""One image file: complete or refused, decoded by its content, never by its name."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.capture.files.radiometric import is_radiometric, read_radiometric
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.png_chunks import PNG_SIGNATURE, walk_chunks

DecodedImage = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
READ_SUFFIXES = (*IMAGE_SUFFIXES, ".pgm", ".npy")
JPEG_SIGNATURE = b"\xff\xd8\xff"
NPY_SIGNATURE = b"\x93NUMPY"
PGM_SIGNATURE = b"P5"
SIGNATURES = (
    PNG_SIGNATURE, JPEG_SIGNATURE, b"BM", b"II*\x00", b"MM\x00*", NPY_SIGNATURE, PGM_SIGNATURE,
)  # fmt: skip
PGM_HEADER = re.compile(rb"P5(?:\s+(?:#[^\n]*\n\s*)*)(\d+)\s+(\d+)\s+(\d+)\s")
# Inside entropy-coded data FF 00 is a literal FF, FF D0..D7 a restart, FF FF is fill.
JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
SOS, EOI = 0xDA, 0xD9


def is_image(path: Path) -> bool:
    """True where the first bytes are those of a PNG, JPEG, BMP, TIFF, PGM or NPY file."""
    with path.open("rb") as file:
        return file.read(8).startswith(SIGNATURES)


def read_image(path: Path, *, thermal: bool = False) -> DecodedImage:
    """Image file -> (H, W) or (H, W, 3) BGR, uint8 or uint16; alpha dropped.

    ``thermal`` takes the temperatures of a FLIR radiometric JPEG, (H, W) uint16 hundredths of a
    kelvin. Raises UserError for a file that is cut off, is not an image, or holds other samples.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); check the path") from None
    if not _complete(data):
        raise UserError(f"{path} is truncated ({len(data)} bytes); copy or record it again")
    if thermal and is_radiometric(data):
        return read_radiometric(data, path)
    pixels = _decode_npy(data) if data.startswith(NPY_SIGNATURE) else _decode(data)
    if pixels is None:
        raise UserError(
            f"{path} is damaged or not an image ({len(data)} bytes); "
            f"give one of {' '.join(suffix[1:] for suffix in READ_SUFFIXES)}"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path} holds {pixels.dtype} samples; save it with 8 or 16 bits a sample")
    if pixels.ndim == 3 and pixels.shape[2] <= 2:
        pixels = pixels[:, :, 0]
    elif pixels.ndim == 3:
        pixels = pixels[:, :, :3]
    return pixels


def _decode_npy(data: bytes) -> DecodedImage | None:
    try:
        stored = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    if not isinstance(stored, np.ndarray) or stored.ndim not in (2, 3) or stored.size == 0:
        return None
    native: DecodedImage = np.ascontiguousarray(
        stored.astype(stored.dtype.newbyteorder("="), copy=False)
    )
    return native


def _decode(data: bytes) -> DecodedImage | None:
    if not data:
        return None
    # Our error says what is wrong; OpenCV's own lines on stderr would only repeat it.
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        flags = cv2.IMREAD_UNCHANGED
        decoded: DecodedImage | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[assignment]
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return decoded


def _complete(data: bytes) -> bool:
    """False where a PNG or JPEG ends early; OpenCV 4 decodes those to half-grey pictures."""
    if data.startswith(PNG_SIGNATURE):
        return any(chunk.kind == b"IEND" for chunk in walk_chunks(data))
    if data.startswith(JPEG_SIGNATURE):
        return _jpeg_complete(data)
    if found := PGM_HEADER.match(data):
        width, height, most = (int(number) for number in found.groups())
        return len(data) - found.end() >= width * height * (2 if most > 255 else 1)
    return True


def _jpeg_complete(data: bytes) -> bool:
    position = 2
    while found := JPEG_MARKER.search(data, position):
        marker = found.group(1)[0]
        if marker == EOI:
            return True
        position = found.end()
        if marker == SOS:
            continue  # entropy-coded data follows: search on for the next marker
        position += int.from_bytes(data[position : position + 2], "big")
    return False
