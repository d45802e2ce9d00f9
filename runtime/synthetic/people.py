"""Walking people: a jointed figure drawn once a frame, then scaled to its distance."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.synthetic.camera import Camera
from mgdn_edge.runtime.synthetic.sprite import (
    Sprite,
    clip_window,
    heat_from_levels,
    heat_level,
)
from mgdn_edge.runtime.synthetic.street import Look, Walker
from mgdn_edge.runtime.synthetic.texture import Float32s

# The figure is drawn in a canvas of this many pixels a metre and laid into the picture.
SCALE = 96
CANVAS = (200, 160)  # rows, columns
FEET = (80.0, 194.0)  # column and row of the point between the feet
FRACTION_BITS = 4  # OpenCV's sub-pixel coordinates
STRIDE = 1.5  # metres of two steps
BARE, COAT, TROUSERS = 0, 1, 2
SKIN_REFLECTANCE = (0.12, 0.17, 0.25)
SKIN_HEAT = 31.5  # Celsius, a face outdoors

Point = tuple[float, float]


def place_walker(walker: Walker, seconds: float) -> tuple[float, float, float, float]:
    """Seconds -> x, z in metres, heading (+1 towards ``end``) and metres walked."""
    span = np.hypot(walker.end[0] - walker.start[0], walker.end[1] - walker.start[1])
    walked = max(0.0, seconds + walker.delay) * walker.speed
    lap = walked % (2 * span)
    share, heading = (lap / span, 1.0) if lap <= span else (2 - lap / span, -1.0)
    x = walker.start[0] + (walker.end[0] - walker.start[0]) * share
    z = walker.start[1] + (walker.end[1] - walker.start[1]) * share
    return float(x), float(z), heading, float(walked)


def draw_walker(walker: Walker, seconds: float, camera: Camera, look: Look) -> Sprite | None:
    """The person as ``camera`` sees them at ``seconds``, or None outside the picture."""
    x, z, heading, walked = place_walker(walker, seconds)
    base, crown = camera.project(np.array([[x, 0, z], [x, walker.height, z]]))
    along = (crown[:2] - base[:2]) / (walker.height * SCALE)  # image pixels a canvas pixel
    down, right = -along, np.array([-along[1], along[0]])
    # Canvas -> picture; a turned camera turns the figure.
    matrix = np.column_stack([right, down, base[:2] - right * FEET[0] - down * FEET[1]])
    rows, columns = CANVAS
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]]) @ matrix.T
    bounds = clip_window(corners.min(0), corners.max(0), camera.size)
    if bounds is None or base[2] <= 0.5:
        return None
    x0, y0, x1, y1 = bounds
    sideways = abs(walker.end[0] - walker.start[0]) > abs(walker.end[1] - walker.start[1])
    facing = heading * np.sign(walker.end[0] - walker.start[0]) if sideways else 0.0
    cover, part = _draw_figure(walker, walked / STRIDE, float(facing))
    tones = np.array([SKIN_REFLECTANCE, walker.coat, walker.trousers], np.float32)
    cloth = look.clothing + walker.warmth
    warmth = [heat_level(heat) for heat in (SKIN_HEAT, cloth + 2.5, cloth)]
    relief = _relief(cover)
    heat = np.asarray(np.array(warmth, np.float32)[part] - 14 * (1 - relief), np.float32)
    paint = np.asarray(tones[part] * (0.45 + 0.75 * relief)[:, :, None], np.float32)
    # Shrinking by interpolation alone would flicker: the canvas is first averaged to about the
    # picture's pixels (one of them spans 1 / |along| canvas pixels).
    blocks = max(1, min(*CANVAS, int(1 / max(float(np.hypot(*along)), 1e-6))))
    coarse = (columns // blocks, rows // blocks)
    step = np.array([columns / coarse[0], rows / coarse[1]])
    matrix[:, 2] += matrix[:, :2] @ (step / 2 - 0.5)  # the centre of the first block
    matrix[:, 2] -= (x0, y0)
    matrix[:, :2] *= step

    def place(plane: Float32s) -> Float32s:
        shrunk = cv2.resize(plane, coarse, interpolation=cv2.INTER_AREA)
        placed = cv2.warpAffine(shrunk, matrix, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(placed, np.float32)

    return Sprite(
        name="person",
        x=x0,
        y=y0,
        depth=float(base[2]),
        place=(x, 0.9, z),
        cover=place(np.asarray(cover / np.float32(255), np.float32)),
        reflectance=place(paint),
        emission=None,
        heat=heat_from_levels(place(heat)),
    )


def _relief(cover: npt.NDArray[np.uint8]) -> Float32s:
    """Rounded limbs: 1 in their middle, lower towards the outline."""
    distance = cv2.distanceTransform(cover, cv2.DIST_L2, 3)
    return np.asarray(np.sqrt(np.clip(distance / 9, 0.02, 1)), np.float32)


def _draw_figure(
    walker: Walker, cycles: float, facing: float
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Step cycles, facing (-1, 0 to or from the camera, 1) -> (200, 160) cover and part."""
    cover, part = np.zeros(CANVAS, np.uint8), np.full(CANVAS, COAT, np.uint8)
    tall = walker.height / 1.75
    phase = 2 * np.pi * cycles
    swing = 0.5 if facing else 0.12
    bob = 0.02 * np.cos(2 * phase)

    def pixel(point: Point) -> tuple[int, int]:
        column = FEET[0] + point[0] * SCALE * tall * (facing or 1.0)
        row = FEET[1] - point[1] * SCALE * tall
        return round(column * 2**FRACTION_BITS), round(row * 2**FRACTION_BITS)

    def limb(points: list[Point], width: float, kind: int) -> None:
        thickness = max(1, round(width * SCALE * tall))
        ends = np.array([pixel(point) for point in points], np.int32)
        cv2.polylines(cover, [ends], False, 255, thickness, cv2.LINE_AA, FRACTION_BITS)
        cv2.polylines(part, [ends], False, kind, thickness, cv2.LINE_8, FRACTION_BITS)

    hip, neck = (0.0, 0.90 + bob), (0.03 if facing else 0.0, 1.44 + bob)
    spread = 0.0 if facing else 0.09
    for side in (-1, 1):
        angle = swing * np.sin(phase) * side
        bend = 0.55 * max(0.0, np.sin(phase + np.pi / 2 * side)) * (1 if facing else 0.3)
        knee = (hip[0] + side * spread + 0.44 * np.sin(angle), hip[1] - 0.44 * np.cos(angle))
        foot = (
            knee[0] + 0.44 * np.sin(angle - bend),
            max(0.05, knee[1] - 0.44 * np.cos(angle - bend)),
        )
        toe = (foot[0] + (0.13 if facing else 0.02 * side), foot[1] - 0.01)
        limb([(hip[0] + side * spread * 0.8, hip[1]), knee], 0.165, TROUSERS)
        limb([knee, foot], 0.125, TROUSERS)
        limb([foot, toe], 0.09, TROUSERS)
    shoulder = 0.06 if facing else 0.19
    torso = [
        (neck[0] - shoulder, neck[1] - 0.07), (neck[0] + shoulder, neck[1] - 0.07),
        (hip[0] + 0.12, hip[1] + 0.1), (hip[0] + 0.13, hip[1] - 0.08),
        (hip[0] - 0.13, hip[1] - 0.08), (hip[0] - 0.12, hip[1] + 0.1),
    ]  # fmt: skip
    outline = np.array([pixel(point) for point in torso], np.int32)
    soft = max(1, round(0.09 * SCALE * tall))  # rounds the corners of the coat
    for canvas, value, line in ((cover, 255, cv2.LINE_AA), (part, COAT, cv2.LINE_8)):
        cv2.fillPoly(canvas, [outline], value, line, FRACTION_BITS)
        cv2.polylines(canvas, [outline], True, value, soft, line, FRACTION_BITS)
    for side in (-1, 1):
        angle = -0.9 * swing * np.sin(phase) * side
        start = (neck[0] + side * (0.0 if facing else 0.21), neck[1] - 0.08)
        elbow = (
            start[0] + 0.29 * np.sin(angle) + side * (0.0 if facing else 0.04),
            start[1] - 0.29 * np.cos(angle),
        )
        hand = (elbow[0] + 0.25 * np.sin(angle + 0.25), elbow[1] - 0.25 * np.cos(angle + 0.25))
        limb([start, elbow], 0.105, COAT)
        limb([elbow, hand], 0.085, COAT)
        limb([hand, (hand[0] + 0.01, hand[1] - 0.05)], 0.07, BARE)
    limb([neck, (neck[0], neck[1] + 0.08)], 0.1, BARE)
    head = (neck[0] + (0.03 if facing else 0.0), neck[1] + 0.185)
    axes = [round(axis * SCALE * tall * 2**FRACTION_BITS) for axis in (0.088, 0.118)]
    for canvas, value, line in ((cover, 255, cv2.LINE_AA), (part, BARE, cv2.LINE_8)):
        cv2.ellipse(canvas, pixel(head), axes, 0, 0, 360, value, -1, line, FRACTION_BITS)
    hair = [(head[0] - 0.07, head[1] + 0.085), (head[0] + 0.05, head[1] + 0.095)]
    limb(hair, 0.06, TROUSERS)
    return cover, part
