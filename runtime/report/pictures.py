"""Planes -> JPEG data URIs small enough for a phone."""

from __future__ import annotations

import base64

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.colour import bgr_from_planes, place_chroma
from mgdn_edge.runtime.picture.frame import Plane, VisibleFrame

MAX_WIDTH = 640  # a phone shows 360 CSS pixels at two or three device pixels each
MIN_WIDTH = 160  # smaller frames are enlarged, each pixel to a block
JPEG_QUALITY = 85
LEVELS = 255
BLOT_PER_WIDTH = 320  # a differing pixel grows by one on each side for every 320 of width

Image = npt.NDArray[np.uint8] | npt.NDArray[np.float64]


class Picture(msgspec.Struct, frozen=True):
    """One image of the page: its JPEG as a data URI, and what a reader who cannot see it needs."""

    source: str
    width: int
    height: int
    label: str
    description: str


def encode_picture(image: npt.NDArray[np.uint8], label: str, description: str) -> Picture:
    """(H, W) grey or (H, W, 3) BGR uint8 -> Picture at most MAX_WIDTH wide."""
    height, width = image.shape[:2]
    scale = min(1.0, MAX_WIDTH / width)
    method = cv2.INTER_AREA
    if width < MIN_WIDTH:
        scale, method = float(MIN_WIDTH // width), cv2.INTER_NEAREST
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size != (width, height):
        image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode a {image.shape} picture as JPEG")
    source = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
    return Picture(source, *size, label, description)


def picture_difference(got: Image, wanted: Image, of: str) -> Picture:
    """(H, W) levels twice -> their absolute difference, its largest white; NaN is the largest.

    ``of`` says what differs. A lone pixel is enlarged: it would vanish where the page is narrow.
    """
    difference = np.abs(got.astype(np.float64) - wanted)
    difference = np.nan_to_num(difference, nan=LEVELS, posinf=LEVELS)
    highest = float(difference.max())
    factor = LEVELS / highest if highest else 1.0
    side = 1 + 2 * (max(difference.shape) // BLOT_PER_WIDTH)
    grown = cv2.dilate(np.round(difference * factor), np.ones((side, side), np.uint8))
    shown = np.clip(grown, 0, LEVELS).astype(np.uint8)
    label = f"difference x {factor:.3g}, at most {highest:.3g} levels"
    return encode_picture(
        shown,
        label if highest else "no pixel differs",
        f"{of}, white where it is largest, black where there is none",
    )


def colour_image(y: Plane, visible: VisibleFrame) -> npt.NDArray[np.uint8]:
    """(H, W) uint8 luma beside ``visible``'s chroma -> (H, W) grey or (H, W, 3) BGR uint8."""
    if visible.chroma is None:
        return y
    canvas = np.empty((*y.shape, 3), np.uint8)
    canvas[:, :, 0] = y
    place_chroma(canvas, visible)
    return bgr_from_planes(canvas, visible.tags)
