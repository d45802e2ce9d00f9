"""Durations -> coordinates: what the templates draw, in percent of the drawing's sides."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.report.scales import Scale, Tick, scale_from_zero, share_of_largest
from mgdn_edge.runtime.stream.latency import Percentiles

MAX_COLUMNS = 300  # more than a phone has pixels for: longer runs show each column's range


class FramePlot(msgspec.Struct, frozen=True):
    """Paths in a 100 x 100 box: the range of each column, its median, dropped frames.

    ``per_column`` is how many frames share one column; ``dropped`` holds x positions.
    """

    band: str
    median: str
    ticks: list[Tick]
    marks: list[Tick]
    dropped: list[float]
    first: int
    last: int
    per_column: int
    description: str


class Bar(msgspec.Struct, frozen=True):
    """Median and 95th percentile as percent of the widest bar, and their text."""

    label: str
    p50: float
    p95: float
    text: str
    wait: bool


def plot_frames(
    times_ns: npt.NDArray[np.int64],
    seqs: npt.NDArray[np.int64],
    dropped: npt.NDArray[np.int64],
    marks: Mapping[str, float],
    title: str,
) -> FramePlot:
    """(N,) nanoseconds, (N,) frame numbers, (M,) dropped numbers, lines in ms -> FramePlot.

    N is at least 1.
    """
    times = times_ns / 1e6
    last = int(max(seqs.max(), dropped.max(initial=0)))
    first = int(min(seqs.min(), dropped.min(initial=last)))
    numbers = Scale(first, max(last, first + 1))
    durations = scale_from_zero(float(times.max()))
    per_column = math.ceil(len(times) / MAX_COLUMNS)
    columns = [slice(i, i + per_column) for i in range(0, len(times), per_column)]
    xs = [numbers.across(float(seqs[part].mean())) for part in columns]
    low, middle, high = (
        [durations.down(float(reduce(times[part]))) for part in columns]
        for reduce in (np.min, np.median, np.max)
    )
    description = (
        f"{title}: {len(times)} frames, median {np.median(times):.1f} ms, "
        f"longest {times.max():.1f} ms at frame {int(seqs[times.argmax()])}"
    )
    if len(dropped):
        description += f"; {len(dropped)} dropped, the first is frame {int(dropped.min())}"
    upper, lower = list(zip(xs, high, strict=True)), list(zip(xs, low, strict=True))
    return FramePlot(
        band=f"{_path(upper + lower[::-1])}Z" if per_column > 1 else "",
        median=_path(list(zip(xs, middle, strict=True))),
        ticks=durations.ticks_down(),
        marks=[
            Tick(durations.down(value), f"{name} {value:.1f} ms") for name, value in marks.items()
        ],
        dropped=sorted({round(numbers.across(int(seq)), 1) for seq in dropped}),
        first=first,
        last=last,
        per_column=per_column,
        description=description,
    )


def draw_bars(figures: Mapping[str, Percentiles], words: Mapping[str, str]) -> list[Bar]:
    """Percentiles by name -> bars in that order; names ending in _wait are waits."""
    width = share_of_largest([each.p95 for each in figures.values()])
    return [
        Bar(
            label=words.get(name, name),
            p50=width.across(each.p50),
            p95=width.across(each.p95),
            text=f"{each.p50:.2f} ms",
            wait=name.endswith("_wait"),
        )
        for name, each in figures.items()
    ]


def _path(points: list[tuple[float, float]]) -> str:
    """A single point becomes a short line: a path without length is not drawn."""
    if len(points) == 1:
        points = [(0.0, points[0][1]), (100.0, points[0][1])]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
