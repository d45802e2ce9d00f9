"""Tone curves that follow a thermal scene without flicker: percentile and plateau AGC.

A curve maps every sensor count to a level 0..255. Each frame proposes one; the curve in use moves
towards it only when the two differ enough to be seen (hysteresis), and then at a limited pace.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import InfraredPlane, Plane

Curve = npt.NDArray[np.float32]
AgcKind = Literal["percentile", "plateau"]

COUNTS = 1 << 16
PERCENTILES = (0.5, 99.5)
LEAST_SPAN = 64.0  # counts: an even scene shows a little noise, not all of it
PLATEAU = 2.0  # times the mean bin: higher ones count as this much, so that sky takes no range
PLATEAU_BINS = 512
# A change of the curve below this many levels (mean over the picture) is not followed: two to
# three levels are the smallest step seen on a flat area.
HELD_LEVELS = 3.0
SETTLED_LEVELS = 1.0  # once moving, the curve goes on until it is this close
SECONDS_TO_FOLLOW = 1.0
# A new scene or a camera's recalibration must not take a second to become visible.
CUT_LEVELS = 80.0


class ToneCurve:
    """(H, W) uint16 counts -> (H, W) uint8 levels, frame after frame of one camera."""

    def __init__(self, kind: AgcKind) -> None:
        self._kind = kind
        self._curve: Curve | None = None
        self._levels = np.zeros(COUNTS, np.uint8)
        self._moving = False
        self._last_ns = 0

    def apply(self, counts: InfraredPlane, pts_ns: int) -> Plane:
        """Levels of one frame; ``pts_ns`` says how far the curve may have moved since the last."""
        histogram = np.bincount(counts.ravel(), minlength=COUNTS)
        proposed = (percentile_curve if self._kind == "percentile" else plateau_curve)(histogram)
        self._follow(proposed, histogram, pts_ns)
        plane: Plane = self._levels[counts]
        return plane

    def _follow(self, proposed: Curve, histogram: npt.NDArray[np.int64], pts_ns: int) -> None:
        since_ns, self._last_ns = pts_ns - self._last_ns, pts_ns
        if self._curve is None:
            self._use(proposed)
            return
        apart = float(np.abs(proposed - self._curve) @ histogram) / float(histogram.sum())
        if apart > CUT_LEVELS:
            self._use(proposed)
            return
        self._moving = apart > (SETTLED_LEVELS if self._moving else HELD_LEVELS)
        if self._moving and since_ns > 0:
            share = 1 - math.exp(-since_ns / 1e9 / SECONDS_TO_FOLLOW)
            self._use(self._curve + np.float32(share) * (proposed - self._curve))

    def _use(self, curve: Curve) -> None:
        self._curve = curve
        self._levels = np.rint(curve).astype(np.uint8)


def linear_curve(low: float, high: float) -> Curve:
    """(65536,) float32: counts low..high to 0..255, clipped."""
    every = np.arange(COUNTS, dtype=np.float32)
    curve: Curve = np.clip((every - np.float32(low)) * np.float32(255 / (high - low)), 0, 255)
    return curve


def percentile_curve(histogram: npt.NDArray[np.int64]) -> Curve:
    """(65536,) pixels by count -> linear between two percentiles of them."""
    return linear_curve(*_bounds(histogram))


def plateau_curve(histogram: npt.NDArray[np.int64]) -> Curve:
    """(65536,) pixels by count -> equalisation of the histogram cut off at a plateau.

    Between linear and full equalisation (Vickers, Optical Engineering 35(7), 1996).
    """
    low, high = _bounds(histogram)
    edges = np.linspace(low, high, PLATEAU_BINS + 1)
    cumulated = np.concatenate([[0], np.cumsum(histogram)])
    places = np.clip(np.rint(edges), 0, COUNTS).astype(np.int64)
    bins = np.diff(cumulated[places]).astype(np.float64)
    cut = np.minimum(bins, PLATEAU * max(bins.mean(), 1e-9))
    # Half of the range stays linear: what few pixels show must still be told apart.
    share = 0.5 * cut / max(cut.sum(), 1e-9) + 0.5 / PLATEAU_BINS
    levels = np.concatenate([[0], np.cumsum(share)]) * 255
    curve: Curve = np.interp(np.arange(COUNTS), edges, levels).astype(np.float32)
    return curve


def _bounds(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    cumulated = np.cumsum(histogram)
    wanted = [share / 100 * cumulated[-1] for share in PERCENTILES]
    low, high = (float(np.searchsorted(cumulated, count)) for count in wanted)
    missing = max(0.0, LEAST_SPAN - (high - low))
    return low - missing / 2, high + missing / 2
