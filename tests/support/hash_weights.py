"""Weights regenerated from parameter names, as the golden vectors' README defines them."""

import zlib
from collections.abc import Iterable

import numpy as np
import torch


def uniform(name: str, count: int) -> np.ndarray:
    """(count,) float64 in [-1, 1): splitmix64 of the name's CRC and the row-major index."""
    x = (np.uint64(zlib.crc32(name.encode())) << np.uint64(32)) + np.arange(count, dtype=np.uint64)
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2 - 1


def value(name: str, shape: Iterable[int], gain: float) -> torch.Tensor:
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    if len(shape) >= 2:
        scaled = gain * u * np.sqrt(3 / np.prod(shape[1:]))
    elif name.endswith(".weight"):
        scaled = 1 + 0.3 * u
    else:
        scaled = 0.1 * u
    return torch.from_numpy(scaled.astype(np.float32))
