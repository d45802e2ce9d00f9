"""Planes of a decoded video frame, taken as they lie in the decoder's memory."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np

from mgdn_edge.runtime.capture.frames.raw_frame import Samples
from mgdn_edge.runtime.picture.colour import MATRIX_BT470BG
from mgdn_edge.runtime.picture.frame import ColourTags

MATRIX_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
RANGE_LIMITED, RANGE_FULL = 1, 2  # AVColorRange
SWSCALE_BT601 = 5  # SWS_CS_ITU601


class Layout(NamedTuple):
    """Where a pixel format keeps its samples: (horizontal, vertical) subsampling, None if grey."""

    subsampling: tuple[int, int] | None
    bits: int
    interleaved: bool = False  # one plane of u, v pairs
    big_endian: bool = False


def _layouts() -> dict[str, Layout]:
    layouts = {"gray": Layout(None, 8), "nv12": Layout((2, 2), 8, interleaved=True)}
    for name, subsampling in (("420", (2, 2)), ("422", (2, 1)), ("444", (1, 1))):
        for prefix in ("yuv", "yuvj", "yuva"):  # alpha, the fourth plane, is not read
            layouts[f"{prefix}{name}p"] = Layout(subsampling, 8)
        for bits in (10, 12):
            layouts[f"yuv{name}p{bits}le"] = Layout(subsampling, bits)
    for bits in (10, 12, 14, 16):
        layouts[f"gray{bits}le"] = Layout(None, bits)
        layouts[f"gray{bits}be"] = Layout(None, bits, big_endian=True)
    return layouts


LAYOUTS = _layouts()


class Planes(NamedTuple):
    """(H, W) uint8 or uint16 luma and chroma, views of the decoder's frame where it allows."""

    y: Samples
    chroma: tuple[Samples, Samples] | None
    subsampling: tuple[int, int]
    bits: int
    tags: ColourTags


def frame_planes(frame: av.VideoFrame) -> Planes:
    """Decoded frame -> its planes without a copy; the views keep the frame's memory alive.

    A pixel format outside LAYOUTS is converted once by swscale to 8-bit yuv444p: RGB by
    full-range BT.601, luma-chroma formats within their own matrix and range.
    """
    layout = LAYOUTS.get(frame.format.name)
    if layout is None or any(plane.line_size < 0 for plane in frame.planes):
        return _converted_planes(frame)
    tags = colour_tags(frame)
    y = _view(frame, 0, frame.width, frame.height, layout)
    if layout.subsampling is None:
        return Planes(y, None, (1, 1), layout.bits, tags)
    horizontal, vertical = layout.subsampling
    width, height = -(-frame.width // horizontal), -(-frame.height // vertical)
    if layout.interleaved:
        pairs = _view(frame, 1, 2 * width, height, layout)
        chroma = (pairs[:, 0::2], pairs[:, 1::2])
    else:
        chroma = (
            _view(frame, 1, width, height, layout),
            _view(frame, 2, width, height, layout),
        )
    return Planes(y, chroma, layout.subsampling, layout.bits, tags)


def colour_tags(frame: av.VideoFrame) -> ColourTags:
    """The frame's own tags; yuvj and grey formats are full range by definition."""
    name = frame.format.name
    full_range = {RANGE_LIMITED: False, RANGE_FULL: True}.get(int(frame.color_range))
    if name.startswith("yuvj") or (full_range is None and name.startswith("gray")):
        full_range = True
    # A matrix of 0 says RGB, which a luma-chroma or grey frame is not (PNG's 16-bit grey).
    return ColourTags(
        matrix=int(frame.colorspace) or MATRIX_UNSPECIFIED,
        full_range=full_range,
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
    )


def _view(frame: av.VideoFrame, index: int, width: int, height: int, layout: Layout) -> Samples:
    plane = frame.planes[index]
    kind = np.dtype(np.uint8 if layout.bits == 8 else np.uint16)
    stored = kind.newbyteorder(">") if layout.big_endian else kind
    samples = np.frombuffer(plane, stored)  # type: ignore[call-overload]
    per_line = plane.line_size // kind.itemsize  # lines are padded for alignment
    view: Samples = samples[: per_line * height].reshape(height, per_line)[:, :width]
    return view.astype(kind) if layout.big_endian else view


def _converted_planes(frame: av.VideoFrame) -> Planes:
    if frame.format.is_rgb or frame.format.has_palette:
        converted = frame.reformat(
            format="yuv444p", dst_colorspace=SWSCALE_BT601, dst_color_range=RANGE_FULL
        )
        tags = ColourTags(MATRIX_BT470BG, True, int(frame.color_primaries), int(frame.color_trc))
    else:
        converted = frame.reformat(format="yuv444p")
        tags = colour_tags(frame)
    layout = LAYOUTS["yuv444p"]
    y, u, v = (_view(converted, i, frame.width, frame.height, layout) for i in range(3))
    return Planes(y, (u, v), (1, 1), 8, tags)
