"""Truth: what a synthetic frame pair shows, known rather than measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Plane

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
FLAT_RANGE = 6  # levels within a window that count as no edge: shading, not structure
FLAT_WINDOW = 9  # pixels: beyond the reach of a 5x5 filter and its kernel's own
SILHOUETTE = 2  # pixels to either side of an outline


@dataclass(frozen=True)
class Truth:
    """Boolean (H, W) masks at the visible size, geometry and clocks of one frame.

    ``people`` and ``words`` hold one mask each, ``person_boxes`` x0, y0, x1, y1 (ends
    excluded). ``flat`` has no edge in either clean plane; ``silhouettes`` is the band of pixels
    around people's outlines. ``homography`` maps infrared to visible pixels at infinity (for every
    depth where ``parallax`` is 0). Times in nanoseconds of the visible camera's clock; the
    infrared clock reads ``clock_rate`` * time + ``clock_offset_ns``.
    """

    person: Mask
    people: list[Mask]
    person_boxes: list[Box]
    text: Mask
    words: list[Mask]
    vehicle: Mask
    lamp: Mask
    smoke: Mask
    flat: Mask
    silhouettes: Mask
    homography: npt.NDArray[np.float64]
    visible_time_ns: int
    infrared_time_ns: int
    clock_rate: float
    clock_offset_ns: float
    infrared_gain: tuple[float, float]
    visible_lost: bool
    infrared_lost: bool
    infrared_frozen: bool


def box_of(mask: Mask) -> Box:
    """(H, W) bool with a true pixel -> x0, y0, x1, y1, ends excluded."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def find_flat(visible: Plane, infrared: Plane | None) -> Mask:
    """(H, W) uint8 clean planes -> where neither has an edge nor a clipped level nearby."""
    flat = np.ones(visible.shape, np.bool_)
    window = np.ones((FLAT_WINDOW, FLAT_WINDOW), np.uint8)
    for plane in (visible, infrared):
        if plane is None:
            continue
        high, low = cv2.dilate(plane, window), cv2.erode(plane, window)
        flat &= (high - low <= FLAT_RANGE) & (low > 0) & (high < 255)
    return flat


def silhouette_band(mask: Mask) -> Mask:
    """(H, W) bool -> the pixels within two of its boundary, on both sides."""
    pixels = mask.astype(np.uint8)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * SILHOUETTE + 1,) * 2)
    return np.asarray(cv2.dilate(pixels, window) != cv2.erode(pixels, window))
