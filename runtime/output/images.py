"""A folder of PNG files named like the input's frames, or a single image file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.output.sink import Sink
from mgdn_edge.runtime.picture.colour import Pixels, bgr_from_planes, place_chroma
from mgdn_edge.runtime.picture.frame import Plane, VisibleFrame
from mgdn_edge.runtime.whole_file import write_whole

JPEG_PARAMETERS = (cv2.IMWRITE_JPEG_QUALITY, 95)
JPEG_SUFFIXES = (".jpg", ".jpeg")


class ImagesSink(Sink[Pixels, tuple[Path, bytes]]):
    """Grey visible frames stay grey, coloured ones become BGR files of the same size.

    ``path`` is a folder (``stem.png`` each; frames without a stem are 000000.png ...) unless
    ``single``, where it is the one file itself.
    """

    def __init__(self, path: Path, *, single: bool) -> None:
        self.path = path
        self._single = single
        self._made_folder = False
        self._written: list[Path] = []

    def copy_out(self, fused: Plane, visible: VisibleFrame) -> Pixels:
        """(H, W) uint8 fused luma -> (H, W) grey copy, or (H, W, 3) with luma in channel 0."""
        if visible.chroma is None:
            grey: Pixels = fused.copy()
            return grey
        canvas = np.empty((*fused.shape, 3), np.uint8)
        canvas[:, :, 0] = fused
        return canvas

    def compose(self, picture: Pixels, visible: VisibleFrame) -> Pixels:
        """(H, W) grey as it is; (H, W, 3) y, cb, cr -> (H, W, 3) uint8 BGR."""
        if visible.chroma is None:
            return picture
        place_chroma(picture, visible)
        return bgr_from_planes(picture, visible.tags)

    def encode(self, picture: Pixels, visible: VisibleFrame) -> tuple[Path, bytes]:
        """(H, W) or (H, W, 3) uint8 -> where to write it and the file's bytes."""
        path = self.path if self._single else self.path / f"{_stem(visible)}.png"
        suffix = path.suffix.lower()
        # PNG is best left alone: OpenCV's default takes less time than any level asked for
        # (620x450 and 500x330 fused frames: 5.5 ms, level 1 12.8, level 3 15.9; same bytes).
        parameters = JPEG_PARAMETERS if suffix in JPEG_SUFFIXES else ()
        done, data = cv2.imencode(suffix, picture, parameters)
        if not done:
            raise UserError(f"cannot encode {path} as {suffix}; name a .png file instead")
        return path, data.tobytes()

    def output(self, encoded: tuple[Path, bytes]) -> None:
        """Write the file whole or not at all."""
        path, data = encoded
        try:
            if not self._single and not self._made_folder and not self.path.is_dir():
                self.path.mkdir()
                self._made_folder = True
            write_whole(path, data)
        except OSError as error:
            raise UserError(
                f"cannot write {path} ({error.strerror}); give an OUTPUT on a writable disk "
                "with room"
            ) from None
        self._written.append(path)

    def close(self) -> None:
        """Every file is already whole."""

    def discard(self) -> None:
        """Remove the files written, and the folder if it was made for them."""
        for path in self._written:
            path.unlink(missing_ok=True)
        if self._made_folder and not any(self.path.iterdir()):
            self.path.rmdir()


def _stem(visible: VisibleFrame) -> str:
    return f"{visible.seq:06d}" if visible.stem is None else visible.stem
