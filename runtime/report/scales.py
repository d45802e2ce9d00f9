"""Values -> places in percent of a drawing's sides, and the round values marked along them.

Text stays outside the stretched drawing, so it is as large on a phone as on a desk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

TICK_STEPS = (1, 2, 5)
WANTED_TICKS = 4
HEADROOM = 1.08  # above the largest value of an axis that begins at zero
ROOM = 2.0  # a factor, between the outermost values and the ends of a logarithmic axis


class Tick(msgspec.Struct, frozen=True):
    """A line at ``place`` percent, and what it stands for."""

    place: float
    label: str


class Scale(msgspec.Struct, frozen=True):
    """``low`` is at 0 percent and ``high`` at 100, with ``margin`` percent free beside both.

    A ``logarithmic`` scale holds the logarithms of its ends and takes values above zero. Values
    beyond the ends lie outside; where both ends are one value, it lies in the middle.
    """

    low: float
    high: float
    ticks: tuple[float, ...] = ()
    margin: float = 0.0
    logarithmic: bool = False

    def across(self, value: float) -> float:
        """Percent from the left."""
        return round(self._percent(value), 2)

    def down(self, value: float) -> float:
        """Percent from the top."""
        return round(100 - self._percent(value), 2)

    def ticks_across(self) -> list[Tick]:
        """The ticks of a horizontal axis."""
        return [Tick(self.across(value), f"{value:g}") for value in self.ticks]

    def ticks_down(self) -> list[Tick]:
        """The ticks of a vertical axis."""
        return [Tick(self.down(value), f"{value:g}") for value in self.ticks]

    def _percent(self, value: float) -> float:
        place = math.log10(value) if self.logarithmic else value
        share = (place - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.margin + (100 - 2 * self.margin) * share


def scale_from_zero(highest: float) -> Scale:
    """Largest value -> an axis from zero to a little above it, with about WANTED_TICKS ticks."""
    highest = max(highest, 1e-3)
    magnitude = 10.0 ** math.floor(math.log10(highest / WANTED_TICKS))
    step = magnitude * next((s for s in TICK_STEPS if magnitude * s * WANTED_TICKS >= highest), 10)
    top = max(highest * HEADROOM, step)
    return Scale(0.0, top, tuple(number * step for number in range(int(top / step) + 1)))


def scale_of_sizes(values: Sequence[float]) -> Scale:
    """Values above zero -> a logarithmic axis with a little room around them.

    Powers of ten are marked; also their doubles and fivefolds where there are few.
    """
    low, high = math.log10(min(values) / ROOM), math.log10(max(values) * ROOM)
    steps = (1,) if high - low > 2 else TICK_STEPS
    exponents = range(math.floor(low), math.ceil(high))
    marked = [step * 10.0**exponent for exponent in exponents for step in steps]
    ticks = tuple(value for value in marked if low <= math.log10(value) <= high)
    return Scale(low, high, ticks, logarithmic=True)


def share_of_largest(values: Sequence[float]) -> Scale:
    """Values from zero -> bars whose longest fills the side; a side for zeros alone too."""
    return Scale(0.0, max(values, default=0.0) or 1.0)
