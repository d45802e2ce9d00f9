"""GainJumps: an 8-bit camera's steps of gain and level taken back, then given back slowly.

Two frames 40 ms apart show nearly the same scene, so a straight line through their levels that is
not the diagonal is the camera's doing. The correction that undoes it fades over seconds: the
camera had a reason, and its new range is the better one.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import Plane

SMALL = (48, 64)  # (rows, columns) on which frames are compared: movement matters less
JUMP_LEVELS = 4.0  # a mean change below this passes for the scene's own
SECONDS_TO_FADE = 4.0
MOST_GAP_SECONDS = 1.0  # after a longer pause the scene is another
QUANTILES = tuple(range(10, 91, 5))  # the ends may be clipped
LEAST_SPREAD = 2.0  # levels between the outer quantiles; less says nothing about gain
MOST_OFF_LINE = 0.25  # of the spread
LEAST_ALIKE = 0.4  # correlation of two frames of one scene; jumps with movement kept 0.62
USUAL_GAIN = (0.2, 5.0)

Float32s = npt.NDArray[np.float32]


class GainJumps:
    """(H, W) uint8 frames of one camera in order -> the same without steps of gain."""

    def __init__(self) -> None:
        self._before: Float32s | None = None
        self._last_ns = 0
        self._gain, self._level = 1.0, 0.0  # corrected = gain * plane + level

    def compensate(self, plane: Plane, pts_ns: int) -> Plane:
        """One frame at ``pts_ns``."""
        rows, columns = SMALL
        small = np.asarray(
            cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.float32
        )
        seconds = (pts_ns - self._last_ns) / 1e9
        if self._before is None or not 0 < seconds <= MOST_GAP_SECONDS:
            self._gain, self._level = 1.0, 0.0
        else:
            fade = math.exp(-seconds / SECONDS_TO_FADE)
            self._gain, self._level = 1 + (self._gain - 1) * fade, self._level * fade
            jump = find_jump(self._before, small)
            if jump is not None:
                # gain' * (g * x + o) + level' = gain * x + level
                self._gain /= jump[0]
                self._level -= self._gain * jump[1]
        self._before, self._last_ns = small, pts_ns
        if (self._gain, self._level) == (1.0, 0.0):
            return plane
        levels = np.rint(np.arange(256) * self._gain + self._level)
        return np.asarray(np.clip(levels, 0, 255).astype(np.uint8)[plane])


def find_jump(before: Float32s, after: Float32s) -> tuple[float, float] | None:
    """Two small float32 frames -> (gain, level) with after = gain * before + level, or None.

    From their quantiles, which movement leaves alone where a regression of pixel on pixel loses
    gain to it. None where the frames are of two scenes, their quantiles do not lie on one line,
    or the line is nearly the diagonal.
    """
    x, y = (np.percentile(frame, QUANTILES) for frame in (before, after))
    if min(float(np.ptp(x)), float(np.ptp(y))) < LEAST_SPREAD:
        return None
    gain = float(y.std() / x.std())
    level = float(np.median(y - gain * x))
    moved = float(np.abs((gain - 1) * x + level).mean())
    off_line = float(np.abs(y - gain * x - level).max()) / float(np.ptp(y))
    if moved < JUMP_LEVELS or off_line > MOST_OFF_LINE:
        return None
    alike = float(np.corrcoef(before.ravel(), after.ravel())[0, 1])
    if alike < LEAST_ALIKE or not USUAL_GAIN[0] < gain < USUAL_GAIN[1]:
        return None
    return gain, level
