"""Cars: a solid of flat faces in perspective, warm where engine and tyres are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.synthetic.camera import Camera, Matrix
from mgdn_edge.runtime.synthetic.sprite import (
    Sprite,
    clip_window,
    heat_from_levels,
    heat_level,
)
from mgdn_edge.runtime.synthetic.street import Car, Colour, Look

HALF_WIDTH, ROOF_HALF_WIDTH = 0.88, 0.68
LENGTH = 4.25
WHEEL_RADIUS = 0.31
AXLES = (0.8, 3.4)
LAMP_HEIGHT = 0.68
LOOP = 110.0  # metres after which a car that drove away comes again
BEHIND = -8.0  # z where it comes from
SLOWING = 9.0  # metres in which a car comes to rest
FRACTION_BITS = 4
# Outline seen from the side: metres from the tail and above the road, and what the face that
# begins at each point is.
PROFILE = (
    (0.05, 0.22, "bumper"), (0.0, 0.62, "tail"), (0.06, 0.98, "boot"), (0.22, 1.02, "glass"),
    (0.85, 1.44, "roof"), (2.35, 1.45, "glass"), (3.15, 1.0, "bonnet"), (4.1, 0.8, "grille"),
    (4.25, 0.55, "bumper"), (4.25, 0.22, "floor"),
)  # fmt: skip
SIDE_GLASS = ((0.55, 1.04), (0.98, 1.36), (2.28, 1.37), (2.92, 1.03))


@dataclass(frozen=True)
class Face:
    """(N, 3) world corners, its paint and its heat in Celsius."""

    corners: Matrix
    middle: float  # x of the car's axis
    reflectance: Colour
    heat: float
    emission: Colour = (0.0, 0.0, 0.0)

    @cached_property
    def normal(self) -> Matrix:
        """(3,) at right angles to the face, out of the car's body."""
        first, second, third = self.corners[:3]
        normal = np.cross(second - first, third - second)
        outward = self.corners.mean(0)[1:] - (0.75, LENGTH / 2)
        side = self.corners.mean(0)[0] - self.middle
        sign = 1.0 if normal @ np.array([side, *outward]) >= 0 else -1.0
        turned: Matrix = sign * normal
        return turned


def place_car(car: Car, seconds: float) -> float:
    """Seconds -> z in metres of the end that faces the camera."""
    if not car.speed:
        return car.z
    if car.stop is None:
        return (car.z + car.heading * car.speed * seconds - BEHIND) % LOOP + BEHIND
    # Constant speed, then constant braking: v^2 = 2 a s.
    cruise = max(0.0, car.z - car.stop - SLOWING) / car.speed
    if seconds <= cruise:
        return car.z - car.speed * seconds
    braking = min(seconds - cruise, 2 * SLOWING / car.speed)
    deceleration = car.speed**2 / (2 * SLOWING)
    gone = car.speed * braking - deceleration * braking**2 / 2
    return max(car.stop, car.z - car.speed * cruise - gone)


def headlights(car: Car, seconds: float) -> list[tuple[float, float, float]]:
    """World places of the lit lamps at the end that faces the camera's way: two or none."""
    if not car.lights or car.heading > 0:
        return []
    z = place_car(car, seconds)
    return [(car.x + side * 0.62, LAMP_HEIGHT, z - 0.02) for side in (-1, 1)]


def draw_car(car: Car, seconds: float, camera: Camera, look: Look) -> Sprite | None:
    """The car as ``camera`` sees it at ``seconds``, or None outside the picture."""
    z = place_car(car, seconds)
    if z < 2.0:
        return None
    faces = _seen_faces(car, look, camera, z)
    corners = np.concatenate([face.corners for face in faces])
    corners[:, 2] += z
    ends = np.cumsum([len(face.corners) for face in faces])[:-1]
    every = camera.project(corners)[:, :2]
    bounds = clip_window(every.min(0) - 1, every.max(0) + 1, camera.size)
    if bounds is None:
        return None
    x0, y0, x1, y1 = bounds
    size = (y1 - y0, x1 - x0)
    cover, heat = np.zeros(size, np.uint8), np.full(size, heat_level(look.air), np.uint8)
    paint, shine = np.zeros((*size, 3), np.uint8), np.zeros((*size, 3), np.uint8)
    pixels = np.rint((every - (x0, y0)) * 2**FRACTION_BITS).astype(np.int32)
    for face, shape in zip(faces, np.split(pixels, ends), strict=True):
        for canvas, value in (
            (cover, [255.0]),
            (heat, [float(heat_level(face.heat))]),
            (paint, [255 * tone for tone in face.reflectance]),
            (shine, [min(255.0, 64 * tone) for tone in face.emission]),
        ):
            cv2.fillPoly(canvas, [shape], value, cv2.LINE_AA, FRACTION_BITS)
    # Warmth spreads through sheet metal, about 5 cm; paint is only as soft as the lens.
    metre = camera.focal / max(z, 1.0)
    spread = cv2.GaussianBlur(heat, (0, 0), max(0.4, 0.05 * metre))
    sheen = _sheen(size, x0, y0, metre)
    return Sprite(
        name="vehicle",
        x=x0,
        y=y0,
        depth=float(z),
        place=(car.x, 0.8, z),
        cover=np.asarray(cover / np.float32(255), np.float32),
        reflectance=np.asarray(paint * (sheen / np.float32(255))[:, :, None], np.float32),
        emission=np.asarray(shine / np.float32(64), np.float32) if car.lights else None,
        heat=heat_from_levels(np.asarray(spread, np.float32)) + (sheen - 1) * np.float32(4),
    )


def _seen_faces(car: Car, look: Look, camera: Camera, z: float) -> list[Face]:
    """Faces the camera sees, in the order to paint them; z of every corner counts from ``z``."""
    body, hidden, wheels, lamps = _build_car(car, look)
    eye = camera.position - (0.0, 0.0, z)
    outer = [face for face in body if face.normal @ (eye - face.corners[0]) > 0]
    outer.sort(key=lambda face: -float(np.linalg.norm(face.corners.mean(0) - eye)))
    return [*hidden, *outer, *wheels, *lamps]


@lru_cache(maxsize=64)
def _build_car(car: Car, look: Look) -> tuple[list[Face], list[Face], list[Face], list[Face]]:
    """Body, hidden tyres, seen wheels, lamps, with the facing end at z = 0."""
    hidden, wheels = _wheels(car, look)
    return _faces(car, look), hidden, wheels, _lamps(car, look)


def _sheen(size: Size, x0: int, y0: int, metre: float) -> npt.NDArray[np.float32]:
    """Slow changes of shade over the body: curved sheets, not boards."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    wave = np.sin((columns + 0.6 * rows) / (0.28 * metre)) + np.sin(rows / (0.16 * metre) + 1)
    return np.asarray(1 + 0.09 * wave, np.float32)


def _world(car: Car, points: list[tuple[float, float, float]]) -> Matrix:
    """(along from the tail, across, up) metres -> world metres."""
    local = np.array(points)
    along = local[:, 0] if car.heading > 0 else LENGTH - local[:, 0]
    return np.column_stack([car.x + local[:, 1], local[:, 2], along])


def _inner_side(car: Car) -> float:
    """The flank towards the road's middle, which the camera sees."""
    return -1.0 if car.x > 0 else 1.0


def _half(height: float) -> float:
    """Half the width at a height: the cabin tapers."""
    share = np.clip((height - 1.0) / 0.44, 0, 1)
    return float(HALF_WIDTH + (ROOF_HALF_WIDTH - HALF_WIDTH) * share)


def _faces(car: Car, look: Look) -> list[Face]:
    paint = car.colour
    dark: Colour = (0.03, 0.03, 0.03)
    glass_heat = look.air - 2.5  # mirrors the cold sky
    kinds: dict[str, tuple[Colour, float]] = {
        "bumper": (dark, look.air + 0.25 * car.engine),
        "tail": (paint, look.air + 1.5),
        "boot": (paint, look.air),
        "glass": ((0.04, 0.035, 0.03), glass_heat),
        "roof": (paint, look.air - 1.5),
        "bonnet": (paint, look.air + car.engine),
        "grille": (dark, look.air + 0.85 * car.engine),
        "floor": (dark, look.air + 3.0),
    }
    faces = []
    for index, (along, up, kind) in enumerate(PROFILE):
        to_along, to_up, _ = PROFILE[(index + 1) % len(PROFILE)]
        near, far = _half(up), _half(to_up)
        corners = [(along, -near, up), (along, near, up), (to_along, far, to_up),
                   (to_along, -far, to_up)]  # fmt: skip
        tone, heat = kinds[kind]
        faces.append(Face(_world(car, corners), car.x, tone, heat))
    side = _inner_side(car)
    flank = [(along, side * _half(up), up) for along, up, _ in PROFILE]
    panes = [(along, side * (_half(up) + 0.005), up) for along, up in SIDE_GLASS]
    shaded: Colour = (paint[0] * 0.7, paint[1] * 0.7, paint[2] * 0.7)
    faces.append(Face(_world(car, flank), car.x, shaded, look.air + 0.12 * car.engine))
    faces.append(Face(_world(car, panes), car.x, (0.035, 0.03, 0.03), glass_heat + 1.0))
    return faces


def _wheels(car: Car, look: Look) -> tuple[list[Face], list[Face]]:
    """Tyres hidden behind the body, and those on the flank that is seen."""
    side = _inner_side(car)
    warm = look.air + 3 + 0.4 * car.engine
    hidden = [
        _disc(car, flank, axle, WHEEL_RADIUS, warm, (0.02, 0.02, 0.02))
        for flank in (-side * HALF_WIDTH, side * (HALF_WIDTH - 0.2))
        for axle in AXLES
    ]
    seen = [
        _disc(car, side * (HALF_WIDTH + 0.01), axle, radius, heat, tone)
        for axle in AXLES
        for radius, heat, tone in (
            (WHEEL_RADIUS, warm, (0.02, 0.02, 0.02)),
            (0.6 * WHEEL_RADIUS, warm + 2, (0.18, 0.18, 0.18)),
        )
    ]
    return hidden, seen


def _disc(car: Car, across: float, axle: float, radius: float, heat: float, tone: Colour) -> Face:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rim = [
        (float(axle + radius * np.cos(angle)), across, float(0.31 + radius * np.sin(angle)))
        for angle in angles
    ]
    return Face(_world(car, rim), car.x, tone, heat)


def _lamps(car: Car, look: Look) -> list[Face]:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    at_front = car.heading < 0
    along, up = (LENGTH + 0.01, LAMP_HEIGHT) if at_front else (-0.01, 0.78)
    wide, tall = (0.15, 0.085) if at_front else (0.12, 0.08)
    glow: Colour = (0.0, 0.0, 0.0)
    if car.lights:
        glow = (3.2, 3.7, 3.9) if at_front else (0.05, 0.08, 1.3)
    tone: Colour = (0.5, 0.5, 0.5) if at_front else (0.03, 0.03, 0.25)
    faces = []
    for across in (-0.64, 0.64):
        shape = [(along, across + wide * np.cos(a), up + tall * np.sin(a)) for a in angles]
        heat = look.air + (6.0 if car.lights else 0.0)
        faces.append(Face(_world(car, shape), car.x, tone, heat, glow))
    low, high = up - 0.22, up - 0.11
    plate = [(along, -0.26, low), (along, 0.26, low), (along, 0.26, high), (along, -0.26, high)]
    faces.append(Face(_world(car, plate), car.x, (0.5, 0.5, 0.5), look.air))
    return faces
