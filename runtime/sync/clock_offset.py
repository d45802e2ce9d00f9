"""measure_clock: two Motions -> the offset and skew of their clocks, or a refusal.

1. The visible motion is cut into segments of a few seconds. Each is correlated with the infrared
   motion at every lag allowed, cell by cell, the cells that move most.
2. The correlograms are added up: their peak is the offset, refined by a parabola. It must stand
   out of the lags far from it, and disjoint parts of the recording must agree on it.
3. The views must lie on each other: the motion is also compared shifted in space, because a shift
   in space looks like one in time where all things move one way; no shift may agree better.
   What is left is the grid: views a cell apart (8 pixels of 640) may still shift the offset
   by tens of milliseconds where everything moves one way, and ``error_ms`` is then large.
4. With enough segments, a line through their own peaks gives the skew, where it is significant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.clock_fit import ClockFit
from mgdn_edge.runtime.sync.motion import Motion, MotionEnergy

STEP_S = 0.01  # of the lags; the parabola goes below it
SLOW_S = 0.5  # slower changes than this (standing cars, clouds) say nothing about time
SEGMENT_S = 3.0
CELLS = 1024  # more only cost time
CALM = 0.3  # cells of little motion count less: this share of the mean deviation is added
PEAK_HALF_WIDTH_S = 0.03  # fitted by the parabola: about one frame to either side
FAR_S = 0.25  # further from the peak, lags are chance
# The peak of chance lags: unrelated clips of 5 to 19 s reached 5.1 deviations, related ones
# began at 9.8 (eight drawn scenes, four recorded clips).
LEAST_DEVIATIONS = 6.5
MOST_DISAGREEMENT_S = 0.03
# Step 3 of the docstring: half the grid, 40 ms, the first 20 s are enough to see a shift.
VIEW_STEP_S, VIEW_SECONDS = 0.04, 20.0
VIEW_CELLS = 0
VIEW_MARGIN = 1.1
SHORTEST_S = 3.0
SKEW_SEGMENTS = 6
SKEW_DEVIATIONS = 3.0
SKEW_REACH_S = 0.06  # how far a segment's own peak may lie from the common one

Float64s = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating[Any]]
HELP = (
    "record 10 s or more of people or cars moving in both pictures, or give the offset: "
    "mgdn fuse ... --offset MS"
)


@dataclass(frozen=True, slots=True)
class _Segments:
    lags_s: Float64s  # (L,)
    middles_s: Float64s  # (K,) on the visible clock
    correlation: Float64s  # (K, L)


def measure_clock(visible: Motion, infrared: Motion, within_ms: float = 1000.0) -> ClockFit:
    """Two Motions of aligned views -> ClockFit; offsets up to ``within_ms`` either way.

    Raises UserError where the recordings do not say: too short, too little motion, no lag that
    stands out, views that do not lie on each other.
    """
    for name, motion in (("visible", visible), ("infrared", infrared)):
        if len(motion.times_ns) < 2 or np.ptp(motion.times_ns) < SHORTEST_S * 1e9:
            raise UserError(f"the {name} recording is shorter than {SHORTEST_S:g} s; {HELP}")
    origin_ns = int(visible.times_ns[0])
    segments = _correlate(visible, infrared, origin_ns, within_ms / 1e3)
    total = segments.correlation.sum(0)
    offset_s = _peak(segments.lags_s, total, None)
    _check_significance(segments, total, offset_s)
    spread_s = _check_halves(segments, offset_s)
    _check_views(visible, infrared, origin_ns, within_ms / 1e3)
    skew, middle_s = _skew(segments, offset_s)
    return ClockFit(
        offset_ms=round(offset_s * 1e3, 2),
        skew_ppm=round(skew * 1e6, 1),
        at_s=round(origin_ns / 1e9 + middle_s, 3),
        error_ms=round(spread_s * 1e3, 2),
    )


def _correlate(visible: Motion, infrared: Motion, origin_ns: int, within_s: float) -> _Segments:
    visible_energy, infrared_energy = _active_cells(visible, infrared)
    visible_s = (visible.times_ns - origin_ns) / 1e9
    infrared_s = (infrared.times_ns - origin_ns) / 1e9
    count = int(np.ceil(within_s / STEP_S))
    lags = np.arange(-count, count + 1) * STEP_S
    # Outside its recording the infrared motion is zero: lags that need it lose by themselves.
    grid = np.arange(0.0, visible_s[-1], STEP_S)
    wide = np.arange(-count, len(grid) + count) * STEP_S
    x = _resampled(visible_s, visible_energy, grid)
    y = _resampled(infrared_s, infrared_energy, wide)
    if not x.any() or not y.any():
        raise UserError(
            f"the recordings do not overlap within {within_s * 1e3:g} ms, or nothing moves in "
            f"one of them; allow more with --within MS, or {HELP}"
        )
    per_segment = min(len(grid), round(SEGMENT_S / STEP_S))
    rows, middles = [], []
    for start in range(0, len(grid) - per_segment + 1, per_segment):
        part = x[start : start + per_segment]
        reach = y[start : start + per_segment + 2 * count]
        size = 1 << int(np.ceil(np.log2(len(reach))))
        spectrum = np.conj(np.fft.rfft(part, size, axis=0)) * np.fft.rfft(reach, size, axis=0)
        rows.append(np.fft.irfft(spectrum.sum(1), size)[: 2 * count + 1])
        middles.append((start + per_segment / 2) * STEP_S)
    scale = np.sqrt(float((x**2).sum()) * float((y**2).sum()))
    return _Segments(
        np.asarray(lags, np.float64), np.array(middles), np.array(rows, np.float64) / scale
    )


def _active_cells(visible: Motion, infrared: Motion) -> tuple[MotionEnergy, MotionEnergy]:
    visible_cells, infrared_cells = (
        motion.energy.reshape(len(motion.energy), -1) for motion in (visible, infrared)
    )
    activity = visible_cells.std(0) * infrared_cells.std(0)
    chosen = np.argsort(activity)[::-1][:CELLS]
    return visible_cells[:, chosen], infrared_cells[:, chosen]


def _resampled(
    times: AnyFloats, energy: MotionEnergy, grid: AnyFloats, step_s: float = STEP_S
) -> MotionEnergy:
    """(N,) s, (N, C) -> (G, C) linear between frames, without slow changes, scaled by cell."""
    before = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
    share = (grid - times[before]) / (times[before + 1] - times[before])
    weight = np.clip(share, 0, 1)[:, None].astype(np.float32)
    values = energy[before] * (1 - weight) + energy[before + 1] * weight
    values -= gaussian_filter1d(values, SLOW_S / step_s, axis=0)
    values[(grid < times[0]) | (grid > times[-1])] = 0
    deviation = values.std(0)
    scale = deviation + np.float32(CALM) * np.sqrt(np.mean(deviation**2))
    return np.asarray(values / np.maximum(scale, np.float32(1e-12)), np.float32)


def _peak(lags_s: Float64s, correlation: Float64s, near_s: float | None) -> float:
    """Lag of the highest value, of those around ``near_s`` if given, refined by a parabola."""
    allowed = correlation
    if near_s is not None:
        allowed = np.where(np.abs(lags_s - near_s) <= SKEW_REACH_S, correlation, -np.inf)
    top = int(np.argmax(allowed))
    width = round(PEAK_HALF_WIDTH_S / STEP_S)
    if not width <= top < len(lags_s) - width:
        return float(lags_s[top])
    around = slice(top - width, top + width + 1)
    bend, slope, _ = np.polyfit(lags_s[around] - lags_s[top], correlation[around], 2)
    if bend >= 0:
        return float(lags_s[top])
    return float(lags_s[top] + np.clip(-slope / (2 * bend), -PEAK_HALF_WIDTH_S, PEAK_HALF_WIDTH_S))


def _check_significance(segments: _Segments, total: Float64s, offset_s: float) -> None:
    far = total[np.abs(segments.lags_s - offset_s) > FAR_S]
    if not len(far):
        raise UserError(f"--within must be more than {FAR_S * 1e3:g} ms; {HELP}")
    deviations = (total.max() - far.mean()) / max(float(far.std()), 1e-12)
    edge_s = segments.lags_s[-1] - PEAK_HALF_WIDTH_S
    if deviations < LEAST_DEVIATIONS or abs(offset_s) > edge_s:
        raise UserError(
            f"cannot tell the offset: the best lag, {offset_s * 1e3:.0f} ms, stands out by "
            f"{deviations:.1f} deviations (wanted {LEAST_DEVIATIONS:g}) and may be chance; {HELP}"
        )


def _check_halves(segments: _Segments, offset_s: float) -> float:
    """Standard error of the offset from disjoint parts; UserError where they disagree."""
    parts = [part for part in (segments.correlation[k::4] for k in range(4)) if len(part)]
    found = np.array([_peak(segments.lags_s, part.sum(0), offset_s) for part in parts])
    # The median of deviations: one part without motion says nothing.
    spread = float(np.median(np.abs(found - offset_s)) * 1.4826)
    if spread > MOST_DISAGREEMENT_S:
        raise UserError(
            f"cannot tell the offset: parts of the recording give "
            f"{', '.join(f'{value * 1e3:.0f}' for value in found)} ms; {HELP}"
        )
    return spread / float(np.sqrt(len(parts)))


def _check_views(visible: Motion, infrared: Motion, origin_ns: int, within_s: float) -> None:
    """Raise UserError where the motion agrees better with the views shifted against each other."""
    step = VIEW_STEP_S
    stop = min((int(visible.times_ns[-1]) - origin_ns) / 1e9, VIEW_SECONDS)
    grid = np.arange(0.0, stop, step)
    reach = np.arange(-within_s, stop + within_s, step)
    volumes = []
    for motion, moments in ((visible, grid), (infrared, reach)):
        count, rows, columns = motion.energy.shape
        halved = motion.energy.reshape(count, rows // 2, 2, columns // 2, 2).mean((2, 4))
        times = (motion.times_ns - origin_ns) / 1e9
        values = _resampled(times, halved.reshape(count, -1), moments, step)
        volumes.append(values.reshape(len(moments), rows // 2, columns // 2))
    sides = [fft.next_fast_len(n, True) for n in (len(grid) + len(reach), rows, columns)]
    spectrum = np.conj(fft.rfftn(volumes[0], sides)) * fft.rfftn(volumes[1], sides)
    agreement = fft.irfftn(spectrum, sides)[: len(reach) - len(grid) + 1].max(0)
    ways = [(np.arange(side) + side // 2) % side - side // 2 for side in sides[1:]]
    near = np.ix_(*(np.abs(way) <= VIEW_CELLS for way in ways))
    top = np.unravel_index(int(np.argmax(agreement)), agreement.shape)
    down, right = (2 * int(way[place]) for way, place in zip(ways, top, strict=True))
    if agreement[top] > VIEW_MARGIN * agreement[near].max():
        raise UserError(
            f"the views are not aligned: infrared motion lies {right / columns:+.0%} of the width "
            f"to the right and {down / rows:+.0%} of the height down, which looks like an offset "
            "where things move one way; align the cameras first: "
            "mgdn align VISIBLE INFRARED RIG.toml, then mgdn sync ... --rig RIG.toml"
        )


def _skew(segments: _Segments, offset_s: float) -> tuple[float, float]:
    """(skew, seconds on the visible clock where the offset holds); skew 0 if not significant."""
    peaks = np.array([_peak(segments.lags_s, row, offset_s) for row in segments.correlation])
    weights = np.maximum(segments.correlation.max(1), 0) ** 2
    middle = float(np.average(segments.middles_s, weights=weights))
    used = np.abs(peaks - offset_s) < SKEW_REACH_S / 2
    if used.sum() < SKEW_SEGMENTS:
        return 0.0, middle
    since, late = (segments.middles_s - middle)[used], (peaks - offset_s)[used]
    (slope, _), covariance = np.polyfit(since, late, 1, w=np.sqrt(weights[used]), cov=True)
    significant = abs(slope) > SKEW_DEVIATIONS * np.sqrt(covariance[0, 0])
    return (float(slope) if significant else 0.0), middle
