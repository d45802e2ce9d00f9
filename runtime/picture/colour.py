"""Fused luma beside the visible frame's own chroma; the colour arithmetic of image files.

Video keeps its chroma planes as they came. RGB exists only at image files: full-range BT.601
(the JPEG convention) when read, the frame's own matrix and range when written.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import ColourTags, Plane, Size, VisibleFrame

Pixels = npt.NDArray[np.uint8]

MATRIX_BT470BG = 5  # AVCOL_SPC_BT470BG: BT.601 coefficients, what JPEG uses
JPEG_TAGS = ColourTags(matrix=MATRIX_BT470BG, full_range=True)
NEUTRAL = 128

# (Kr, Kb) by AVColorSpace. Unspecified (2) is read as BT.601, as swscale does.
LUMA_COEFFICIENTS = {
    1: (0.2126, 0.0722),
    2: (0.299, 0.114),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


def ycbcr_from_bgr(bgr: Pixels) -> tuple[Plane, Plane, Plane]:
    """(H, W, 3) uint8 BGR -> three (H, W) uint8 views y, cb, cr; full-range BT.601."""
    pixels = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb), np.uint8)
    return pixels[:, :, 0], pixels[:, :, 2], pixels[:, :, 1]


def full_size_chroma(
    chroma: tuple[Plane, Plane],
    subsampling: tuple[int, int],
    size: Size,
    *,
    smooth: bool,
) -> tuple[Plane, Plane]:
    """Two uint8 chroma planes -> two (H, W) uint8 planes of ``size`` (height, width).

    ``smooth`` interpolates linearly, for viewing; else every sample is repeated, so that the
    original plane can be taken back unchanged.
    """
    horizontal, vertical = subsampling
    if (horizontal, vertical) == (1, 1):
        return chroma
    height, width = size
    planes = []
    for plane in chroma:
        grown = (plane.shape[1] * horizontal, plane.shape[0] * vertical)
        method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        # Odd sizes round chroma up: grow whole samples, then cut the surplus.
        full = np.asarray(cv2.resize(plane, grown, interpolation=method), np.uint8)
        planes.append(full[:height, :width])
    return planes[0], planes[1]


def rgb_matrix(tags: ColourTags) -> npt.NDArray[np.float64]:
    """Colour tags -> (3, 4) float64: BGR = M @ (y, cb, cr, 1), all in 0..255.

    Unspecified range is read as limited (16..235), what video without a flag means. Raises
    UserError for a matrix that is not a plain luma-chroma one.
    """
    if tags.matrix not in LUMA_COEFFICIENTS:
        raise UserError(
            f"colour matrix {tags.matrix} (AVColorSpace) cannot be written to image files; "
            "write a video instead: OUTPUT.mp4"
        )
    kr, kb = LUMA_COEFFICIENTS[tags.matrix]
    kg = 1.0 - kr - kb
    luma_scale, luma_zero, chroma_scale = (
        (1.0, 0.0, 1.0) if tags.full_range else (255 / 219, 16.0, 255 / 224)
    )
    # R = Y + 2(1-Kr) Cr, B = Y + 2(1-Kb) Cb, and Y = Kr R + Kg G + Kb B gives G.
    blue, red = 2 * (1 - kb), 2 * (1 - kr)
    linear = np.array([[1, blue, 0], [1, -blue * kb / kg, -red * kr / kg], [1, 0, red]]) * np.array(
        [luma_scale, chroma_scale, chroma_scale]
    )
    offset = -linear @ np.array([luma_zero, NEUTRAL, NEUTRAL])
    return np.column_stack([linear, offset])


def bgr_from_planes(planes: Pixels, tags: ColourTags) -> Pixels:
    """(H, W, 3) uint8 y, cb, cr of ``tags`` -> (H, W, 3) uint8 BGR, rounded and clipped once."""
    return np.asarray(cv2.transform(planes, rgb_matrix(tags)), np.uint8)


def place_chroma(canvas: Pixels, visible: VisibleFrame) -> None:
    """Write ``visible``'s chroma, grown to full size, into channels 1 and 2 of (H, W, 3) uint8."""
    if visible.chroma is None:
        canvas[:, :, 1:] = NEUTRAL
        return
    size = (canvas.shape[0], canvas.shape[1])
    planes = full_size_chroma(visible.chroma, visible.subsampling, size, smooth=True)
    canvas[:, :, 1], canvas[:, :, 2] = planes
