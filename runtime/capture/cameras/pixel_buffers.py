"""What a camera driver leaves in its buffer -> planes, by the driver's name for the format."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.capture.frames.planes import Planes, frame_planes
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.colour import MATRIX_BT470BG
from mgdn_edge.runtime.picture.frame import ColourTags, Size

# V4L2 fourcc and GStreamer's name of each layout that is read, the cheapest for us first.
FOURCC = {
    "Y16": "Y16", "Y16 ": "Y16", "GRAY16_LE": "Y16", "GREY": "GREY", "GRAY8": "GREY",
    "NV12": "NV12", "YUYV": "YUYV", "YUY2": "YUYV", "MJPG": "MJPG", "MJPEG": "MJPG",
    "I420": "I420", "YU12": "I420", "YUV420": "I420",
}  # fmt: skip
BITS = {"Y16": 16, "GREY": 8, "NV12": 8, "YUYV": 8, "I420": 8}
# Cameras over USB state BT.601 limited range where they state anything (UVC 1.5, 3.9.2.6).
CAMERA_TAGS = ColourTags(matrix=MATRIX_BT470BG, full_range=False)
GREY_TAGS = ColourTags(full_range=True)

Bytes = npt.NDArray[np.uint8]


class BufferDecoder:
    """Buffers of one stream -> Planes that own their memory; drivers take theirs back.

    ``name`` is a key of FOURCC, ``size`` (height, width), ``stride`` bytes from line to line of
    luma (0: no padding). Raises UserError for a format that is not read.
    """

    def __init__(self, name: str, size: Size, stride: int = 0) -> None:
        if name not in FOURCC:
            raise UserError(
                f"camera format {name} is not read; choose one of {', '.join(sorted(set(FOURCC)))} "
                "with ?format="
            )
        self._layout = FOURCC[name]
        self._size = size
        self._stride = stride or size[1] * {"Y16": 2, "YUYV": 2}.get(self._layout, 1)
        self._jpeg = av.CodecContext.create("mjpeg", "r") if self._layout == "MJPG" else None

    def decode(self, data: bytes | memoryview) -> Planes | None:
        """One buffer -> Planes; None where it is cut short, as drivers do when a cable shakes."""
        if self._jpeg is not None:
            return self._decode_jpeg(bytes(data))
        samples = np.frombuffer(data, np.uint8)
        height, width = self._size
        if len(samples) < self._least_bytes():
            return None
        lines = samples[: self._stride * height].reshape(height, self._stride)
        if self._layout == "Y16":
            counts = lines[:, : 2 * width].copy().view("<u2").astype(np.uint16, copy=False)
            return Planes(counts, None, (1, 1), 16, GREY_TAGS)
        if self._layout == "GREY":
            return Planes(lines[:, :width].copy(), None, (1, 1), 8, GREY_TAGS)
        if self._layout == "YUYV":
            pairs = lines[:, : 2 * width]
            chroma = (pairs[:, 1::4].copy(), pairs[:, 3::4].copy())
            return Planes(pairs[:, ::2].copy(), chroma, (2, 1), 8, CAMERA_TAGS)
        return Planes(lines[:, :width].copy(), self._chroma(samples), (2, 2), 8, CAMERA_TAGS)

    def _chroma(self, samples: Bytes) -> tuple[Bytes, Bytes]:
        height, width = self._size
        rows, columns = -(-height // 2), -(-width // 2)
        after = samples[self._stride * height :]
        if self._layout == "NV12":
            lines = after[: self._stride * rows].reshape(rows, self._stride)[:, : 2 * columns]
            return lines[:, ::2].copy(), lines[:, 1::2].copy()
        half = self._stride // 2
        both = after[: 2 * half * rows].reshape(2, rows, half)[:, :, :columns].copy()
        return both[0], both[1]

    def _least_bytes(self) -> int:
        height = self._size[0]
        halved = -(-height // 2) if self._layout in ("NV12", "I420") else 0
        return self._stride * (height + halved)

    def _decode_jpeg(self, data: bytes) -> Planes | None:
        assert self._jpeg is not None
        try:
            frames = self._jpeg.decode(av.Packet(data))
        except av.FFmpegError:
            return None
        return frame_planes(frames[0]) if frames else None
