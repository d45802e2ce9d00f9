"""Ranges, losses and search points -> coordinates in percent of a drawing's sides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from mgdn_edge.calibration.clip_points import HALF, ClipPoints, clipped_share
from mgdn_edge.calibration.precision_search import SearchResult
from mgdn_edge.calibration.sensitivity import UnitLoss
from mgdn_edge.runtime.bundle.ranges import TensorRange
from mgdn_edge.runtime.report.scales import Scale, share_of_largest

COLUMNS = 120  # of a histogram: more than a phone has pixels for
MARGIN = 6.0  # percent beside the outermost points
EQUAL_SHOWN = 70.0  # dB; pictures closer than this are drawn there


class RangePlot(msgspec.Struct, frozen=True):
    """One tensor: its histogram as a path in a 100 x 100 box, clip points as x, and words."""

    name: str
    path: str
    low: float
    high: float
    text: str


class LossBar(msgspec.Struct, frozen=True):
    """One unit's error as percent of the largest, and words."""

    label: str
    width: float
    text: str


class Dot(msgspec.Struct, frozen=True):
    """One point of the search in a 100 x 100 box, and words."""

    x: float
    y: float
    label: str
    chosen: bool


class ParetoPlot(msgspec.Struct, frozen=True):
    """The points, the line through the best of them, and what the axes are."""

    dots: list[Dot]
    path: str
    x_axis: str
    left: str
    right: str
    top: str
    bottom: str
    description: str


def plot_range(name: str, found: TensorRange, points: ClipPoints) -> RangePlot:
    """A tensor's range and clip points -> its drawing; counts on a logarithmic scale."""
    edges = (np.arange(found.first, found.first + len(found.counts) + 1) - HALF) * (
        found.span / HALF
    )
    left, right = float(edges[0]), float(edges[-1])
    columns = np.linspace(left, right, COLUMNS + 1)
    reached = np.interp(columns, edges, np.cumsum((0, *found.counts)))
    heights = np.log1p(np.maximum(np.diff(reached), 0))
    heights = 100 * heights / max(float(heights.max()), 1e-9)
    steps = "".join(
        f"L{100 * i / COLUMNS:.4g} {100 - h:.4g}L{100 * (i + 1) / COLUMNS:.4g} {100 - h:.4g}"
        for i, h in enumerate(heights)
    )
    share = clipped_share(found, points)
    values = Scale(left, right)
    return RangePlot(
        name=name,
        path=f"M0 100{steps}L100 100Z",
        low=values.across(min(max(points.low, left), right)),
        high=values.across(min(max(points.high, left), right)),
        text=(
            f"{found.low:.3g} to {found.high:.3g}, kept {points.low:.3g} to {points.high:.3g}"
            f"{f', {share:.2%} beyond' if share else ''}"
        ),
    )


def draw_losses(losses: Sequence[UnitLoss]) -> list[LossBar]:
    """Units -> bars of the root mean square error each causes alone, in levels."""
    errors = [255 * 10 ** (-loss.psnr / 20) for loss in losses]
    width = share_of_largest(errors)
    return [
        LossBar(
            loss.unit,
            width.across(error),
            f"{loss.psnr:.1f} dB, SSIM {loss.ssim:.4f}, {_saved(loss.saved_ms)}",
        )
        for loss, error in zip(losses, errors, strict=True)
    ]


def plot_pareto(result: SearchResult) -> ParetoPlot:
    """Search points -> PSNR over time, or over layers in 8 bits where nothing was timed."""
    timed = all(point.speed is not None for point in result.points)
    xs = [
        float(len(point.kept)) if point.speed is None else point.speed.fp32_p50 * point.speed.ratio
        for point in result.points
    ]
    ys = [min(point.quality.psnr_mean, EQUAL_SHOWN) for point in result.points]
    times = Scale(min(xs), max(xs), margin=MARGIN)
    decibels = Scale(min(ys), max(ys), margin=MARGIN)
    dots = [
        Dot(
            times.across(x),
            decibels.down(y),
            f"{point.label}: {point.quality.psnr_mean:.1f} dB" + (f", {x:.2f} ms" if timed else ""),
            number == result.chosen,
        )
        for number, (x, y, point) in enumerate(zip(xs, ys, result.points, strict=True))
    ]
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda each: (each.x, each.y)):
        if not front or dot.y < front[-1].y:
            front.append(dot)
    unit = "ms" if timed else "layers kept float"
    return ParetoPlot(
        dots=dots,
        path="M" + "L".join(f"{dot.x:g} {dot.y:g}" for dot in front),
        x_axis="milliseconds a frame" if timed else "layers kept float",
        left=f"{times.low:.3g} {unit}",
        right=f"{times.high:.3g}",
        top=_decibels(decibels.high),
        bottom=_decibels(decibels.low),
        description=f"{len(dots)} assignments of precisions: "
        + "; ".join(dot.label for dot in dots),
    )


def _saved(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "time not measured"
    if math.copysign(1, milliseconds) < 0:
        return f"{-milliseconds:.2f} ms slower"
    return f"saves {milliseconds:.2f} ms"


def _decibels(value: float) -> str:
    return f"{value:.1f} dB" if value < EQUAL_SHOWN else "equal"
