"""Parts of a profile -> coordinates of the roofline plot, in percent of the drawing's sides.

Both axes are logarithmic: operations a byte to the right, operations a second upwards. The roof
rises with the memory's bandwidth to the machine's arithmetic. Kernels without arithmetic have no
place on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure.profiling.profile_result import PartFigures
from mgdn_edge.runtime.report.scales import Tick, scale_of_sizes

NUMBERED = 8  # parts that carry the number of their row in the table
NEAR = 4.0  # percent: closer than this, two parts share a dot's label
LEAST_DOT, MOST_DOT = 0.45, 1.5  # rem, a dot's diameter; its area is the part's share


class Dot(msgspec.Struct, frozen=True):
    """One part: place in percent, diameter in rem, the numbers beside it, and what it is."""

    x: float
    y: float
    size: float
    label: str
    description: str


class RooflinePlot(msgspec.Struct, frozen=True):
    """``roof`` is a path in a 100 x 100 box."""

    roof: str
    ridge: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    dots: list[Dot]
    description: str


def plot_roofline(parts: Sequence[PartFigures], ceilings: Ceilings) -> RooflinePlot | None:
    """Parts, the longest first, and what bounds them -> a plot; None where nothing can be placed.

    Without a measured arithmetic ceiling there is no roof.
    """
    ridge = ceilings.ridge
    placed = [
        (number, part, part.flops / part.bytes)
        for number, part in enumerate(parts, 1)
        if part.flops and part.bytes and part.ms
    ]
    if not placed or ridge is None or ceilings.gflops is None:
        return None
    intensities = scale_of_sizes([*(each for _, _, each in placed), ridge])
    rates = scale_of_sizes([*(part.gflops for _, part, _ in placed), ceilings.gflops])
    across, down = intensities.across, rates.down
    top = down(ceilings.gflops)
    # Where the roof enters the drawing.
    begin = max(10**intensities.low, 10**rates.low / ceilings.gbps)
    roof = f"M{across(begin)} {down(begin * ceilings.gbps)}L{across(ridge)} {top}L100 {top}"
    largest = max(part.share for _, part, _ in placed)
    dots: list[Dot] = []
    for number, part, intensity in placed:
        x, y = across(intensity), down(part.gflops)
        label = str(number) if number <= NUMBERED else ""
        near = next((i for i, dot in enumerate(dots) if _close(dot, x, y)), None)
        if label and near is not None and dots[near].label:
            dots[near] = msgspec.structs.replace(dots[near], label=f"{dots[near].label}, {label}")
            label = ""
        size = max(LEAST_DOT, MOST_DOT * math.sqrt(part.share / largest))
        about = f"{number}. {part.name}: {part.gflops:.1f} GFLOP/s at {intensity:.2f} FLOP/byte"
        dots.append(Dot(x, y, round(size, 2), label, about))
    first = placed[0][1]
    return RooflinePlot(
        roof=roof,
        ridge=across(ridge),
        x_ticks=intensities.ticks_across(),
        y_ticks=rates.ticks_down(),
        dots=dots,
        description=(
            f"Roofline: {len(placed)} parts below {ceilings.gbps:.0f} GB/s and "
            f"{ceilings.gflops:.0f} GFLOP/s; {first.name} reaches {100 * first.of_roof:.0f} % of it"
        ),
    )


def _close(dot: Dot, x: float, y: float) -> bool:
    return abs(dot.x - x) < NEAR and abs(dot.y - y) < NEAR
