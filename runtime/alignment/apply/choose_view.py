"""Which part of the visible picture is shown, and how much of it infrared covers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from mgdn_edge.runtime.alignment.apply.rig_file import Area, Matrix
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size

ViewBox = tuple[int, int, int, int]  # (left, top, width, height)

SMALLEST_VIEW = 16  # pixels a side: less is not worth showing
MULTIPLE = 8  # of the cropped size: what encoders and networks divide by
ASPECTS = np.geomspace(1 / 3, 3, 41)


def choose_view(
    homography: Matrix, visible: Size, infrared: Size, area: Area, working: Size | None
) -> tuple[ViewBox, Size]:
    """Homography and sizes -> (view, working size).

    "fill": the whole visible picture, or its largest middle part shaped like ``working``.
    "crop": the largest upright rectangle that both cameras see, of that shape if given. Edges
    are even, so that 4:2:0 chroma is cut exactly. Raises UserError where there is no such
    rectangle.
    """
    height, width = visible
    if area == "fill":
        if working is None:
            return (0, 0, width, height), visible
        aspect = working[1] / working[0]
        wide = min(width, round(height * aspect))
        high = min(height, round(width / aspect))
        if (high, wide) == visible:
            return (0, 0, width, height), working
        left, top = (width - wide) // 4 * 2, (height - high) // 4 * 2
        return (left, top, max(1, wide), max(1, high)), working
    shared = shared_polygon(homography, visible, infrared)
    aspects = ASPECTS if working is None else [working[1] / working[0]]
    best = max((inscribed(shared, aspect) for aspect in aspects), key=lambda box: box[2] * box[3])
    left, top = (2 * int(np.ceil(edge / 2 - 1e-6)) for edge in best[:2])
    step = MULTIPLE if working is None else 2
    wide, high = (
        int((start + side - edge + 1e-6) // step * step)
        for start, side, edge in zip(best[:2], best[2:], (left, top), strict=True)
    )
    if min(wide, high) < SMALLEST_VIEW:
        raise UserError(
            "the cameras share too little of the view to crop to it; pass --area fill, or turn "
            "the cameras to the same scene"
        )
    return (left, top, wide, high), working or (high, wide)


def shared_polygon(homography: Matrix, visible: Size, infrared: Size) -> npt.NDArray[np.float64]:
    """(N, 2) corners, in visible pixels, of what both cameras see; N = 0 where nothing."""
    seen = cv2.perspectiveTransform(picture_outline(infrared)[None], homography)[0]
    area, shared = cv2.intersectConvexConvex(
        picture_outline(visible).astype(np.float32), np.asarray(seen, np.float32)
    )
    if area <= 0 or shared is None:
        return np.zeros((0, 2))
    return np.asarray(shared, np.float64).reshape(-1, 2)


def picture_outline(size: Size) -> npt.NDArray[np.float64]:
    """A picture's size -> (4, 2) corners, x before y, of its pixels' outer edge."""
    right, bottom = size[1] - 0.5, size[0] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def inscribed(polygon: npt.NDArray[np.float64], aspect: float) -> tuple[float, float, float, float]:
    """Largest upright rectangle of width / height ``aspect`` in a convex polygon.

    -> (left, top, width, height), edges between pixels counted from 0. A rectangle lies in a
    convex polygon when its corners lie behind every side, which is linear in left, top, width.
    """
    if len(polygon) < 3:
        return 0.0, 0.0, 0.0, 0.0
    middle = polygon.mean(0)
    rows, limits = [], []
    for start, end in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        normal = np.array([end[1] - start[1], start[0] - end[0]])
        if normal @ (middle - start) > 0:
            normal = -normal
        for right in (0.0, 1.0):
            for down in (0.0, 1 / aspect):
                rows.append([normal[0], normal[1], normal[0] * right + normal[1] * down])
                limits.append(normal @ start)
    found = linprog([0, 0, -1], rows, limits, bounds=[(None, None), (None, None), (0, None)])
    if found.x is None:
        return 0.0, 0.0, 0.0, 0.0
    left, top, width = found.x
    # Pixel i spans i-0.5 to i+0.5 here and i to i+1 as an edge count.
    return float(left) + 0.5, float(top) + 0.5, float(width), float(width / aspect)


def covered_share(homography: Matrix, view: ViewBox, infrared: Size) -> float:
    """Share, 0..1, of the view that infrared covers."""
    left, top, width, height = view
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
    polygon = shared_polygon(shift @ homography, (height, width), infrared)
    if not len(polygon):
        return 0.0
    return float(cv2.contourArea(polygon.astype(np.float32))) / (width * height)
