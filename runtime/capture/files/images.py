"""Image folders in natural order, and single images."""

from __future__ import annotations

import re
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path

import numpy as np

from mgdn_edge.runtime.capture.files.image_file import READ_SUFFIXES, read_image
from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader, Samples
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.colour import JPEG_TAGS, ycbcr_from_bgr
from mgdn_edge.runtime.picture.frame import SourceInfo

# Still images have no clock; written to a video they play at this rate.
STILL_RATE = 25
STILL_FRAME_NS = 1_000_000_000 // STILL_RATE


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


class ImageReader(Reader):
    """Image files in the order given; each may have its own size.

    ``thermal`` takes the temperatures of FLIR radiometric JPEG files, not the picture they show.
    """

    def __init__(
        self, uri: str, paths: list[Path], *, is_folder: bool, thermal: bool = False
    ) -> None:
        self._thermal = thermal
        self._paths = paths
        self._is_folder = is_folder
        self.info = SourceInfo(
            uri=uri, size=None, frames=len(paths), rate=None, time_base=None, live=False
        )

    @property
    def stems(self) -> list[str] | None:
        """Stems in order, or None for a single image, which pairs with anything."""
        return [path.stem for path in self._paths] if self._is_folder else None

    @property
    def paths(self) -> list[Path]:
        """The files, in order."""
        return list(self._paths)

    def only(self, stems: list[str]) -> ImageReader:
        """A reader of just these stems, in this order."""
        by_stem = {path.stem: path for path in self._paths}
        return ImageReader(
            self.info.uri,
            [by_stem[stem] for stem in stems],
            is_folder=True,
            thermal=self._thermal,
        )

    def frames(self) -> Generator[RawFrame, None, None]:
        """Decode one image after the other; raises UserError at a damaged one."""
        for seq, path in enumerate(self._paths):
            yield raw_image(path, seq, thermal=self._thermal)


def open_folder(folder: Path, *, thermal: bool = False) -> ImageReader:
    """Folder -> reader of its image files, sorted naturally by stem.

    Raises UserError where it holds none, or two files of one stem.
    """
    paths = sorted(list_images(folder), key=lambda path: natural_key(path.stem))
    if not paths:
        raise UserError(
            f"{folder} holds no images; files ending in {' '.join(READ_SUFFIXES)} are read"
        )
    for first, second in pairwise(paths):
        if first.stem == second.stem:
            raise UserError(
                f"{folder} holds both {first.name} and {second.name}; "
                "frames are paired by stem: remove or rename one"
            )
    return ImageReader(str(folder), paths, is_folder=True, thermal=thermal)


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder by their names, in any order. Raises OSError."""
    return [
        path for path in folder.iterdir() if path.suffix.lower() in READ_SUFFIXES and path.is_file()
    ]


def raw_image(path: Path, seq: int, *, thermal: bool = False) -> RawFrame:
    """Image file -> RawFrame; colour becomes full-range BT.601 4:4:4 (the JPEG convention)."""
    pixels = read_image(path, thermal=thermal)
    bits = 8 * pixels.dtype.itemsize
    if pixels.ndim == 3 and bits == 16 and bool((pixels == pixels[:, :, :1]).all()):
        pixels = pixels[:, :, 0]  # grey in three channels: counts must not pass for colour
    y: Samples = pixels
    chroma = None
    if pixels.ndim == 3:
        # Reduced before the colour arithmetic, which then exists once, in 8 bits.
        bgr = pixels.view(np.uint8) if bits == 8 else np.rint(pixels / 257.0).astype(np.uint8)
        bits = 8
        y, cb, cr = ycbcr_from_bgr(bgr)
        chroma = (cb, cr)
    return RawFrame(
        y=y,
        chroma=chroma,
        subsampling=(1, 1),
        bits=bits,
        tags=JPEG_TAGS,
        pts_ns=seq * STILL_FRAME_NS,
        seq=seq,
        stem=path.stem,
        origin=str(path),
    )
