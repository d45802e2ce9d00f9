"""Motion: where and when pictures change, the one thing both cameras see alike.

Absolute differences of consecutive frames on a small grid. What is brighter in one camera may be
darker in the other, but an edge that crosses a cell crosses it at one moment in both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.picture.frame import InfraredFrame, InfraredPlane, Plane, VisibleFrame

# A person 10 m away crosses a cell in 0.1 s. On eight drawn scenes of 12 s the largest error of
# the offset was 2.2 ms with this grid, 3.1 ms with half of it, 6 ms with a quarter.
GRID = (60, 80)
# Differences below five standard deviations of the frame's own are sensor noise; a jump of gain
# or light moves the whole frame and with it the deviation.
NOISE_DEVIATIONS = 5.0
LEAST_NOISE = 0.05  # levels: what 8-bit rounding leaves after averaging
MEDIAN_TO_SIGMA = 1 / 0.6745

MotionEnergy = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Motion:
    """(N,) int64 nanoseconds, midway between two frames, and (N, rows, columns) float32 >= 0."""

    times_ns: npt.NDArray[np.int64]
    energy: MotionEnergy


def measure_motion(
    frames: Iterable[VisibleFrame | InfraredFrame], progress: Progress = SILENT
) -> Motion:
    """Frames in order of time -> Motion; frames that repeat a stamp are left out."""
    times: list[int] = []
    energies: list[MotionEnergy] = []
    before: MotionEnergy | None = None
    before_ns = 0
    for frame in frames:
        plane = frame.y if isinstance(frame, VisibleFrame) else frame.plane
        small = _on_grid(plane)
        if before is not None and frame.pts_ns > before_ns:
            times.append((frame.pts_ns + before_ns) // 2)
            energies.append(_moved(small - before))
        before, before_ns = small, frame.pts_ns
        progress.advance()
    stacked = np.stack(energies) if energies else np.zeros((0, *GRID), np.float32)
    return Motion(np.array(times, np.int64), stacked)


def _on_grid(plane: Plane | InfraredPlane) -> MotionEnergy:
    rows, columns = GRID
    shrinks = plane.shape[0] >= rows and plane.shape[1] >= columns
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=method), np.float32)


def _moved(difference: MotionEnergy) -> MotionEnergy:
    size = np.abs(difference)
    noise = np.median(size) * MEDIAN_TO_SIGMA + LEAST_NOISE
    # The root keeps one bright headlight from outweighing everything else.
    return np.asarray(np.sqrt(np.maximum(size - NOISE_DEVIATIONS * noise, 0)), np.float32)
