"""Sprite: one person or car as a camera sees it, ready to be laid over the street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Size
from mgdn_edge.runtime.synthetic.texture import Float32s

# Heat is drawn in uint8 so that OpenCV smooths its edges: a quarter of a kelvin a level.
COLDEST, LEVELS_PER_KELVIN = -15.0, 4.0


@dataclass(frozen=True)
class Sprite:
    """A rectangle at ``x``, ``y`` (its first column and row) ``depth`` metres away.

    ``cover`` (h, w) float32 in 0..1, ``reflectance`` (h, w, 3) BGR, ``emission`` (h, w, 3) or
    None, ``heat`` (h, w) Celsius. ``name`` is "person" or "vehicle"; ``place`` is its foot in
    the world; ``upright`` the height in metres at which light is taken.
    """

    name: str
    x: int
    y: int
    depth: float
    place: tuple[float, float, float]
    cover: Float32s
    reflectance: Float32s
    emission: Float32s | None
    heat: Float32s

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns it takes in the picture."""
        height, width = self.cover.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


def heat_level(celsius: float) -> int:
    """Celsius -> uint8 level of a heat canvas."""
    return min(255, max(0, round((celsius - COLDEST) * LEVELS_PER_KELVIN)))


def heat_from_levels(levels: Float32s) -> Float32s:
    """float32 levels of a heat canvas -> Celsius."""
    celsius: Float32s = levels * np.float32(1 / LEVELS_PER_KELVIN) + np.float32(COLDEST)
    return celsius


def clip_window(
    corner: npt.NDArray[np.float64], opposite: npt.NDArray[np.float64], size: Size
) -> tuple[int, int, int, int] | None:
    """(x, y) smallest and largest -> whole x0, y0, x1, y1 inside ``size``; None if outside."""
    x0, y0 = (max(0, int(side)) for side in np.floor(corner))
    x1, y1 = (int(side) + 1 for side in np.ceil(opposite))
    x1, y1 = min(size[1], x1), min(size[0], y1)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
