"""A small procedural scene: the infrared-visible pair golden images and demos are made from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Plane


class Scene(NamedTuple):
    """(H, W) uint8 visible luma and (H, W) uint8 infrared, white is hot, in registration."""

    visible: Plane
    infrared: Plane


def draw_scene(height: int, width: int, phase: float = 0.0, seed: int = 0) -> Scene:
    """(height, width) in pixels -> Scene with both images full range, 0..255.

    A lit gradient with stripes, a disc and a textured dark corner in the visible; warm blobs,
    one of them in that corner, and smooth ground in the infrared. Texture covers only a part:
    the PNG files travel in bundles. ``phase`` in turns moves the
    warm target once around, for moving scenes. Integer arithmetic decides every pixel, so the
    same arguments give the same bytes on every machine and numpy version.
    """
    y, x = np.mgrid[:height, :width].astype(np.int64)
    # 1/1024 of the side as the unit: shapes keep their place at every size.
    u, v = x * 1024 // max(width, 1), y * 1024 // max(height, 1)

    visible = 40 + u * 120 // 1024 + v * 40 // 1024
    visible += np.where((u // 48 % 2 == 0) & (v > 620) & (u > 380), 60, 0)
    visible = np.where(_inside(u, v, 700, 280, 170), 235 - v // 8, visible)
    visible = np.where((u < 300) & (v > 560), visible // 5, visible)
    visible += np.where((u < 380) & (v > 420), _noise(x, y, seed) % 23 - 11, 0)

    angle = round((phase % 1.0) * 1024)
    target_u, target_v = 512 + _triangle(angle) // 2, 420 + _triangle(angle + 256) // 4
    infrared = 50 + (1024 - v) * 40 // 1024
    infrared += _bump(u, v, target_u, target_v, 150) * 190 // 1024
    infrared += _bump(u, v, 150, 800, 130) * 170 // 1024
    infrared = np.where((u > 860) & (v > 300) & (v < 700), 30, infrared)
    infrared += np.where((u > 640) & (v > 600), _noise(x, y, seed + 1) % 9 - 4, 0)
    return Scene(_to_plane(visible), _to_plane(infrared))


Integers = npt.NDArray[np.int64]


def _inside(u: Integers, v: Integers, u0: int, v0: int, radius: int) -> npt.NDArray[np.bool_]:
    inside: npt.NDArray[np.bool_] = (u - u0) ** 2 + (v - v0) ** 2 < radius**2
    return inside


def _bump(u: Integers, v: Integers, u0: int, v0: int, radius: int) -> Integers:
    """Paraboloid: 1024 at (u0, v0), 0 from ``radius`` on."""
    distance = (u - u0) ** 2 + (v - v0) ** 2
    bump: Integers = np.maximum(0, 1024 - distance * 1024 // radius**2)
    return bump


def _triangle(angle: int) -> int:
    """Triangle wave of period 1024, from -512 to 512."""
    return abs((angle + 256) % 1024 - 512) * 2 - 512


def _noise(x: Integers, y: Integers, seed: int) -> Integers:
    """Integer hash of position and seed (xorshift-multiply): texture in 0..65535."""
    mask = 0xFFFFFFFF
    value = (x * 0x1B873593 + y * 0x19D699A5 + (seed + 1) * 0x27D4EB2F) & mask
    for _ in range(2):
        value ^= value >> 15
        value = (value * 0x2C1B3C6D) & mask
    return (value ^ (value >> 13)) & 0xFFFF


def _to_plane(values: Integers) -> Plane:
    plane: Plane = np.clip(values, 0, 255).astype(np.uint8)
    return plane
