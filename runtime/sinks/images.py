"""A folder of PNG files named like the input's frames, or a single image file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mgdn_edge.runtime.compose import Pixels, bgr_from_planes, place_chroma
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.frame import Plane, VisibleFrame
from mgdn_edge.runtime.partial_file import Kept, PartialFolder
from mgdn_edge.runtime.sinks.base import Sink
from mgdn_edge.runtime.sinks.frame_mark import is_unchanged_frame, mark_frame
from mgdn_edge.runtime.whole_file import Output, write_whole

JPEG_PARAMETERS = (cv2.IMWRITE_JPEG_QUALITY, 95)
JPEG_SUFFIXES = (".jpg", ".jpeg")


class ImagesSink(Sink[Pixels, tuple[str, bytes]]):
    """Grey visible frames stay grey, coloured ones become BGR files of the same size.

    ``output`` is a folder (``stem.png`` each; frames without a stem are 000000.png ...) unless
    ``single``, where it is the one file itself.
    """

    def __init__(self, output: Output, *, single: bool) -> None:
        self.path = output.path
        self._output = output
        self._folder = None if single else PartialFolder(output, is_unchanged_frame)

    def begin(self) -> None:
        """Make the folder that fills, unless that is done."""
        if self._folder is not None and not self._folder.begun:
            self._folder.begin()

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

    def encode(self, picture: Pixels, visible: VisibleFrame) -> tuple[str, bytes]:
        """(H, W) or (H, W, 3) uint8 -> the file's name and its bytes."""
        name = self.path.name if self._folder is None else f"{_stem(visible)}.png"
        suffix = Path(name).suffix.lower()
        # PNG is best left alone: OpenCV's default takes less time than any level asked for
        # (620x450 and 500x330 fused frames: 5.5 ms, level 1 12.8, level 3 15.9; same bytes).
        parameters = JPEG_PARAMETERS if suffix in JPEG_SUFFIXES else ()
        done, data = cv2.imencode(suffix, picture, parameters)
        if not done:
            raise UserError(f"cannot encode {name} as {suffix}; name a .png file instead")
        return name, data.tobytes() if self._folder is None else mark_frame(data.tobytes())

    def output(self, encoded: tuple[str, bytes]) -> None:
        """Write the file whole or not at all."""
        name, data = encoded
        if self._folder is None:
            self._output.write(data)
            self.kept = Kept(self.path, 1)
            return
        self.begin()
        try:
            write_whole(self._folder.path / name, data)
        except OSError as error:
            raise self._output.unwritable(error) from None
        self._folder.names.add(name)

    def close(self) -> None:
        """Every file is already whole: they go to the folder's own name."""
        if self._folder is not None:
            if not self._folder.names:
                self._folder.leave(empty=True)
            self._folder.complete()

    def keep(self) -> Kept | None:
        """End early, unless ended: the folder under its partial name, if there is a frame in it."""
        folder = self._folder
        if folder is not None and folder.begun:
            folder.leave(empty=not folder.names)
            self.kept = Kept(folder.path, len(folder.names)) if folder.names else None
        return self.kept


def _stem(visible: VisibleFrame) -> str:
    return f"{visible.seq:06d}" if visible.stem is None else visible.stem
