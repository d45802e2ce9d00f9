"""The empty street as each camera sees it: drawn once, kept for every frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.synthetic import traced_street
from mgdn_edge.runtime.synthetic.camera import Camera
from mgdn_edge.runtime.synthetic.street import Street
from mgdn_edge.runtime.synthetic.surfaces import Materials, paint_street
from mgdn_edge.runtime.synthetic.texture import Float32s, smooth_step

SOLID = 0.5  # share of a pixel from which a mask counts it
COARSE = 4  # headlights are computed at a quarter of the size
HAZE = 1 / 400  # share of the air's light a metre adds


@dataclass(frozen=True)
class Backdrop:
    """Read-only planes of the street without people, cars and smoke.

    ``radiance`` and ``reflectance`` (H, W, 3) float32 BGR, ``heat`` (H, W) Celsius, ``depth``
    (H, W) metres, ``letters`` and ``lamps`` (H, W) bool, ``coarse`` (H/4, W/4, 3) world metres.
    """

    radiance: Float32s
    reflectance: Float32s
    heat: Float32s
    depth: Float32s
    letters: npt.NDArray[np.bool_]
    lamps: npt.NDArray[np.bool_]
    coarse: Float32s


@lru_cache(maxsize=4)
def draw_backdrop(street: Street, camera: Camera) -> Backdrop:
    """Street and camera -> Backdrop; a second call with the same arguments costs nothing."""
    traced = traced_street.trace_street(street, camera)
    positions = traced.positions(camera)
    materials = paint_street(traced, positions, street)
    light = _light(traced, positions, street)
    radiance = materials.reflectance * light + materials.emission
    _add_haze(radiance, traced.depth, street)
    height, width = camera.size
    radiance = _shrink(np.minimum(radiance, 4.0), camera.size)
    radiance += _glow(_shrink(_bright(materials, traced), camera.size))
    coarse = (max(1, width // COARSE), max(1, height // COARSE))
    return Backdrop(
        radiance=radiance,
        reflectance=_shrink(materials.reflectance, camera.size),
        heat=_shrink(materials.heat, camera.size),
        depth=np.ascontiguousarray(traced.depth[:: traced.samples, :: traced.samples]),
        letters=_shrink(materials.letters, camera.size) > SOLID,
        lamps=_shrink((traced.surface == traced_street.LAMP).astype(np.float32), camera.size)
        > SOLID,
        coarse=np.asarray(cv2.resize(positions, coarse, interpolation=cv2.INTER_NEAREST)),
    )


def lamp_light(street: Street, x: Float32s, y: Float32s, z: Float32s) -> Float32s:
    """(h, w) float32 metres, three times -> (h, w, 3) float32 irradiance of the street lamps."""
    total = np.zeros((*x.shape, 3), np.float32)
    lamp = np.array(street.look.lamp, np.float32)
    if not lamp.any():
        return total
    for lamp_x, height, lamp_z in street.lamps:
        below = np.float32(height) - y
        inward = lamp_x - np.sign(lamp_x) * traced_street.ARM
        square = (x - np.float32(inward)) ** 2 + (z - np.float32(lamp_z)) ** 2 + below**2
        cosine = np.clip(below, 0, None) / np.sqrt(square + 0.05)
        # A shaded head: full within 50 degrees of the plumb line, nothing beyond 75.
        cone = smooth_step(0.26, 0.64, cosine.astype(np.float32))
        total += (cosine * cone / (square + 1))[:, :, None] * lamp
    return total


def _light(traced: traced_street.Traced, positions: Float32s, street: Street) -> Float32s:
    x, y, z = (positions[:, :, axis] for axis in range(3))
    look = street.look
    upright = np.isin(
        traced.surface,
        (traced_street.WALL, traced_street.SIGN, traced_street.POST, traced_street.SKYLINE),
    )
    open_sky = np.where(upright, 0.62, 1.0)
    # Streets are darker towards the foot of the houses.
    open_sky = open_sky * (0.65 + 0.35 * smooth_step(0, 4, 8.4 - np.abs(x) + 0.4 * y))
    light: Float32s = open_sky[:, :, None].astype(np.float32) * np.array(look.ambient, np.float32)
    light += lamp_light(street, x, y, z) * np.where(upright, 0.55, 1.0)[:, :, None]
    if any(look.sun):
        # The sun stands high on the right: the right row shades itself and a strip of ground.
        shade_edge = np.float32(4.6) - np.float32(0.55) * y
        sunlit = smooth_step(-0.25, 0.25, shade_edge - x) * np.where(x > 8, 0, 1)
        light += (sunlit * np.where(upright, 0.55, 0.8))[:, :, None] * np.array(
            look.sun, np.float32
        )
    return light


def _add_haze(radiance: Float32s, depth: Float32s, street: Street) -> None:
    solid = depth < traced_street.FAR
    share = np.where(solid, 1 - np.exp(-depth * np.float32(HAZE)), 0)[:, :, None]
    radiance += (np.array(street.look.sky_low, np.float32) * 0.8 - radiance) * share


def _bright(materials: Materials, traced: traced_street.Traced) -> Float32s:
    """Only what shines by itself: lamps, windows, signs."""
    shining = (traced.surface != traced_street.SKY)[:, :, None] & (materials.emission > 0.12)
    return np.where(shining, materials.emission, 0).astype(np.float32)


def _glow(light: Float32s) -> Float32s:
    """(H, W, 3) light -> what the lens scatters of it around."""
    spread = light.shape[1] / 640
    near = cv2.GaussianBlur(light, (0, 0), max(0.5, 3 * spread))
    far = cv2.GaussianBlur(light, (0, 0), max(0.5, 16 * spread))
    return np.asarray(0.14 * near + 0.16 * far, np.float32)


def _shrink(plane: Float32s, size: Size) -> Float32s:
    height, width = size
    shrunk = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)
