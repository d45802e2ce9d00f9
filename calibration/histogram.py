"""Histogram: one tensor's values in fixed memory, however many come.

The span doubles when a value falls outside, and two neighbouring bins become one. Spans are
powers of two, so bin borders are exact and the result does not depend on the order of the values.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.bundle.ranges import BINS, TensorRange

SMALLEST_SPAN = 2.0**-24  # below any activation that matters; doubling from here takes 24 steps
HALF = BINS // 2


class Histogram:
    """Counts of float values over [-span, span), exact extremes beside them."""

    def __init__(self) -> None:
        self.low = math.inf
        self.high = -math.inf
        self.count = 0
        self.span = SMALLEST_SPAN
        self.counts = np.zeros(BINS, np.int64)

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Count ``values`` of any shape; ValueError where one is NaN or infinite."""
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("a value is NaN or infinite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.count += values.size
        while self.span <= max(abs(low), abs(high)):
            self._double()
        # A power of two: the product is exact, so a value's bin does not depend on the span it
        # was counted at.
        places = values.ravel() * values.dtype.type(HALF / self.span)
        np.floor(places, out=places)
        places += values.dtype.type(HALF)
        self.counts += np.bincount(places.astype(np.uint16), minlength=BINS)

    def _double(self) -> None:
        merged = self.counts.reshape(HALF, 2).sum(axis=1)
        self.counts[:] = 0
        self.counts[HALF // 2 : HALF // 2 + HALF] = merged
        self.span *= 2

    def finish(self) -> TensorRange:
        """What was counted, as it is stored; ValueError where nothing was."""
        if not self.count:
            raise ValueError("no value was counted")
        filled = np.flatnonzero(self.counts)
        first, last = int(filled[0]), int(filled[-1])
        counts = tuple(self.counts[first : last + 1].tolist())
        return TensorRange(self.low, self.high, self.count, self.span, first, counts)


def open_histogram(stored: TensorRange) -> Histogram:
    """A stored range -> a histogram that goes on where it ended."""
    histogram = Histogram()
    histogram.low, histogram.high = stored.low, stored.high
    histogram.count, histogram.span = stored.count, stored.span
    histogram.counts[stored.first : stored.first + len(stored.counts)] = stored.counts
    return histogram
