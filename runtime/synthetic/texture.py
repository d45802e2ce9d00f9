"""Seamless procedural textures: sums of smooth noise over octaves, sampled anywhere."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
SIDE = 256
ROW = 1024
ROUGHNESS = 0.55  # amplitude of each octave against the one before


@lru_cache(maxsize=32)
def noise_tile(seed: int, coarsest: int = 4) -> Float32s:
    """(256, 256) float32 of zero mean, unit deviation, seamless; ``coarsest`` cells a side."""
    generator = np.random.default_rng([seed, coarsest])
    total = np.zeros((SIDE, SIDE), np.float64)
    amplitude, cells = 1.0, coarsest
    while cells <= SIDE:
        lattice = generator.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(lattice, 2, mode="wrap")
        factor = SIDE // cells
        grown = cv2.resize(wrapped, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        total += amplitude * grown[2 * factor :, 2 * factor :][:SIDE, :SIDE]
        amplitude, cells = amplitude * ROUGHNESS, cells * 2
    tile: Float32s = ((total - total.mean()) / total.std()).astype(np.float32)
    tile.setflags(write=False)
    return tile


def sample_noise(u: Float32s, v: Float32s, period: float, seed: int, coarsest: int = 4) -> Float32s:
    """Two float32 coordinates of one shape -> float32 noise that repeats after ``period``."""
    scale = np.float32(SIDE / period)
    tile = noise_tile(seed, coarsest)
    return sample_plane(tile, np.mod(u * scale, SIDE), np.mod(v * scale, SIDE), wrap=True)


def sample_plane(plane: Float32s, u: Float32s, v: Float32s, *, wrap: bool = False) -> Float32s:
    """(h, w) float32 plane at float32 columns ``u`` and rows ``v`` of any one shape, bilinear."""
    # cv2.remap takes no side of 32767 or more: points travel in rows of 1024.
    rows = -(-u.size // ROW)
    maps = [np.zeros((rows, ROW), np.float32) for _ in range(2)]
    for target, axis in zip(maps, (u, v), strict=True):
        target.reshape(-1)[: u.size] = axis.reshape(-1)
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REPLICATE
    sampled = np.empty((rows, ROW), np.float32)
    for top in range(0, rows, ROW):
        part = slice(top, top + ROW)
        sampled[part] = cv2.remap(
            plane, maps[0][part], maps[1][part], cv2.INTER_LINEAR, borderMode=border
        )
    flat: Float32s = sampled.reshape(-1)[: u.size]
    return flat.reshape(u.shape)


def smooth_step(low: float, high: float, values: Float32s) -> Float32s:
    """0 below ``low``, 1 above ``high``, a smooth cubic between."""
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: Float32s = (share * share * (3 - 2 * share)).astype(np.float32)
    return smooth
