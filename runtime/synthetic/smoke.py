"""Drifting smoke: opaque in visible light, nearly clear in the 8 to 14 um band."""

from __future__ import annotations

import cv2
import numpy as np

from mgdn_edge.runtime.synthetic.backdrop import Backdrop
from mgdn_edge.runtime.synthetic.camera import Camera
from mgdn_edge.runtime.synthetic.texture import SIDE, Float32s, noise_tile, smooth_step

SMOKE_Z = 7.5  # metres: the cloud begins here, before the people
DENSEST = 4.5  # optical depth at smoke = 1: 1 % of the light passes
# Smoke particles are smaller than the infrared wavelength: extinction falls by an order of
# magnitude or more from 0.55 to 10 um.
INFRARED_SHARE = 0.05
COARSE = 4


class Smoke:
    """One cloud in front of one camera. ``density`` 0..1."""

    def __init__(self, camera: Camera, backdrop: Backdrop, density: float, seed: int) -> None:
        self._size = camera.size
        self._tiles = noise_tile(seed + 61), noise_tile(seed + 62)
        height, width = camera.size
        rows, columns = -(-height // COARSE), -(-width // COARSE)
        grid = np.mgrid[:rows, :columns].astype(np.float32)
        # Canvas units: the picture is two tiles wide whatever its size.
        self._u = grid[1] * np.float32(1.2 * SIDE / columns)
        self._v = grid[0] * np.float32(1.2 * SIDE / columns)
        across, up = grid[1] / columns, 1 - grid[0] / rows
        middle = 0.42 + 0.12 * np.sin(3 * up)
        plume = np.exp(-(((across - middle) / (0.20 + 0.32 * up)) ** 4))
        self._envelope = (density * DENSEST * plume * (1.1 - 0.5 * up)).astype(np.float32)
        depth = cv2.resize(backdrop.depth, (columns, rows), interpolation=cv2.INTER_NEAREST)
        self._envelope *= smooth_step(SMOKE_Z, SMOKE_Z + 6, np.asarray(depth, np.float32))

    def passes(self, seconds: float) -> Float32s:
        """(H, W) float32 share of visible light that passes at ``seconds``."""
        drift = np.float32(seconds)
        billows = sum(
            cv2.remap(
                tile,
                np.mod(self._u * scale + across * drift, SIDE),
                np.mod(self._v * scale + up * drift, SIDE),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            for tile, scale, across, up in (
                (self._tiles[0], np.float32(1), 9, 16),
                (self._tiles[1], np.float32(2), -6, 30),
            )
        )
        depth = self._envelope * np.clip(0.75 + 0.3 * np.asarray(billows), 0.05, 2)
        thin = np.exp(-depth).astype(np.float32)
        height, width = self._size
        grown = cv2.resize(thin, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, np.float32)


def infrared_passes(passes: Float32s) -> Float32s:
    """Share of visible light that passes -> share of infrared radiation that passes."""
    return np.asarray(np.power(passes, np.float32(INFRARED_SHARE)), np.float32)
