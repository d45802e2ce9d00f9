"""Clip points: where a calibration method cuts a tensor's values, and the 8-bit numbers for them.

minmax       the extremes: nothing is clipped
percentile   all but (100 - p) % of the values; a tensor of one sign gives them all at its far end
entropy      the threshold whose quantised histogram is closest to the original by
             Kullback-Leibler divergence (S. Migacz, "8-bit inference with TensorRT", GTC 2017)
mse          the threshold with the smallest mean squared error, rounding and clipping together
"""

from __future__ import annotations

import enum
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.bundle.ranges import BINS, TensorRange

MethodName = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[MethodName, ...] = ("minmax", "percentile", "entropy", "mse")
DEFAULT_PERCENTILE = 99.99
HALF = BINS // 2
ENTROPY_STEP = 16  # bins between candidates: under 1 % of the range
MSE_CANDIDATES = 128
UNSEEN_COUNT = 1e-4  # of a value, in a step without any: keeps the divergence finite
SMALLEST_SCALE = 2.0**-100  # a tensor of zeros; its reciprocal must stay finite

Values = npt.NDArray[np.float64]


class Scheme(enum.Enum):
    """SYMMETRIC: int8 -127..127 around 0 (TensorRT). AFFINE: uint8 with a zero point (CPU)."""

    SYMMETRIC = "symmetric int8"
    AFFINE = "affine uint8"


class ClipMethod(msgspec.Struct, frozen=True):
    """A method's name and, for ``percentile``, how much it keeps, in percent of the values."""

    name: MethodName = "mse"
    percentile: float = DEFAULT_PERCENTILE

    def __str__(self) -> str:
        """As messages and records say it."""
        return f"percentile {self.percentile:g}" if self.name == "percentile" else self.name


class ClipPoints(msgspec.Struct, frozen=True):
    """What is kept of a tensor, ``low`` <= 0 <= ``high``; beyond is clipped."""

    low: float
    high: float


class Grid(msgspec.Struct, frozen=True):
    """real = (integer - zero_point) * scale, integers from ``lowest`` to ``highest``."""

    scale: float
    zero_point: int
    lowest: int
    highest: int


def choose_clip_points(found: TensorRange, method: ClipMethod, scheme: Scheme) -> ClipPoints:
    """A tensor's range -> where ``method`` clips it for ``scheme``; zero is always inside."""
    if method.name == "percentile":
        return _percentile(found, method.percentile)
    threshold = max(abs(found.low), abs(found.high))
    if method.name == "entropy":
        threshold = min(threshold, _entropy_threshold(found, scheme))
    elif method.name == "mse":
        threshold = _mse_threshold(found, scheme)
    return _within(found, threshold)


def make_grid(points: ClipPoints, scheme: Scheme) -> Grid:
    """Clip points -> scale (a float32 value) and zero point."""
    if scheme is Scheme.SYMMETRIC:
        scale = max(abs(points.low), abs(points.high)) / 127
        return Grid(float(np.float32(max(scale, SMALLEST_SCALE))), 0, -127, 127)
    scale = float(np.float32(max((points.high - points.low) / 255, SMALLEST_SCALE)))
    return Grid(scale, int(np.clip(np.rint(-points.low / scale), 0, 255)), 0, 255)


def quantise(values: Values, grid: Grid) -> Values:
    """Real values -> the nearest ones the grid has (halves to even, as QuantizeLinear)."""
    integers = np.rint(values / grid.scale) + grid.zero_point
    clipped = np.clip(integers, grid.lowest, grid.highest)
    nearest: Values = np.asarray((clipped - grid.zero_point) * grid.scale, np.float64)
    return nearest


def clipped_share(found: TensorRange, points: ClipPoints) -> float:
    """The share of a tensor's values that lie beyond ``points``, 0..1, to a bin."""
    edges = _edges(found)
    counts = np.array(found.counts, np.float64)
    outside = (edges[1:] <= points.low) | (edges[:-1] >= points.high)
    beyond = points.low > found.low or points.high < found.high
    return float(counts[outside].sum() / found.count) if beyond else 0.0


def _within(found: TensorRange, threshold: float) -> ClipPoints:
    return ClipPoints(min(0.0, max(found.low, -threshold)), max(0.0, min(found.high, threshold)))


def _edges(found: TensorRange) -> Values:
    """Borders of the stored bins, one more than there are counts."""
    places = np.arange(found.first, found.first + len(found.counts) + 1)
    edges: Values = (places - HALF).astype(np.float64) * (found.span / HALF)
    return edges


def _percentile(found: TensorRange, percentile: float) -> ClipPoints:
    tail = 1 - percentile / 100
    one_sided = found.low >= 0 or found.high <= 0
    each = tail if one_sided else tail / 2
    low = found.low if found.low >= 0 else _quantile(found, each)
    high = found.high if found.high <= 0 else _quantile(found, 1 - each)
    return ClipPoints(min(0.0, low), max(0.0, high))


def _quantile(found: TensorRange, share: float) -> float:
    """The value below which ``share`` of the values lie, interpolated within its bin."""
    if share <= 0:
        return found.low
    if share >= 1:
        return found.high
    reached = np.cumsum((0, *found.counts)) / found.count
    value = float(np.interp(share, reached, _edges(found)))
    return min(max(value, found.low), found.high)


def _magnitudes(found: TensorRange) -> Values:
    """Counts of |value| in HALF bins over [0, span)."""
    counts = np.zeros(BINS)
    counts[found.first : found.first + len(found.counts)] = found.counts
    folded: Values = counts[HALF:] + counts[HALF - 1 :: -1]
    return folded


def _entropy_threshold(found: TensorRange, scheme: Scheme) -> float:
    counts = _magnitudes(found)
    counts[0] = counts[1]  # exact zeros are exact in any grid and would outweigh all else
    one_sided = found.low >= 0 or found.high <= 0
    levels = 256 if scheme is Scheme.AFFINE and one_sided else 128
    used = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else 0
    candidates = [*range(levels, used, ENTROPY_STEP), used]
    candidates = [bins for bins in candidates if bins >= levels]
    if not candidates:
        return float("inf")
    best = min(candidates, key=lambda bins: divergence(counts, bins, levels))
    return float(best * found.span / HALF)


def divergence(counts: Values, bins: int, levels: int) -> float:
    """KL(P || Q): the first ``bins`` counts with all beyond in the last, against ``levels`` steps.

    Q spreads each step's sum evenly over those of its bins that P fills; it knows nothing of what
    lies beyond.
    """
    reference = counts[:bins].copy()
    starts = np.arange(levels) * bins // levels
    sums = np.add.reduceat(reference, starts)
    reference[-1] += counts[bins:].sum()
    held = reference > 0
    places = np.add.reduceat(held.astype(np.float64), starts)
    spread = np.repeat(sums / np.maximum(places, 1), np.diff(np.append(starts, bins)))[held]
    if not spread.sum():
        return float("inf")
    p = reference[held] / reference.sum()
    q = np.maximum(spread, UNSEEN_COUNT) / spread.sum()
    return float((p * np.log(p / q)).sum())


def _mse_threshold(found: TensorRange, scheme: Scheme) -> float:
    edges = _edges(found)
    centres = (edges[1:] + edges[:-1]) / 2
    counts = np.array(found.counts, np.float64)
    largest = max(abs(found.low), abs(found.high))
    width = found.span / HALF
    best, best_error = largest, float("inf")
    for part in range(MSE_CANDIDATES, 0, -1):
        threshold = largest * part / MSE_CANDIDATES
        grid = make_grid(_within(found, threshold), scheme)
        kept = np.clip(
            centres,
            (grid.lowest - grid.zero_point) * grid.scale,
            (grid.highest - grid.zero_point) * grid.scale,
        )
        # Values spread evenly over a step; those around zero, which is exact, are rounded to it.
        inside = counts[(kept == centres) & (np.abs(centres) > width)].sum() * grid.scale**2 / 12
        error = float((np.square(centres - kept) * counts).sum() + inside)
        if error < best_error:
            best, best_error = threshold, error
    return best
