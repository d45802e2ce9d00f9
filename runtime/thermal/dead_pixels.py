"""DeadPixels: those of a thermal sensor that say nothing about the scene, found and filled."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import InfraredPlane

# An outlier is this many robust deviations from the median of its neighbours. Lenses blur over
# more than a pixel, so a real point of heat reaches into its neighbours' median.
OUTLIER_DEVIATIONS = 12.0
FRAMES_TO_CONVICT = 8  # in a row; moving heat is elsewhere by then
MOST_DEAD = 0.01  # of the pixels; more is a scene, not a sensor


class DeadPixels:
    """Finds dead pixels over the first frames and fills them in every frame after."""

    def __init__(self) -> None:
        self._in_a_row: npt.NDArray[np.uint8] | None = None
        self.dead: npt.NDArray[np.bool_] | None = None

    def repair(self, counts: InfraredPlane) -> InfraredPlane:
        """(H, W) uint8 or uint16 -> the same with dead pixels as the median around them.

        Pixels at 0 or at the end of the range among others that are not are dead at once, others
        after FRAMES_TO_CONVICT frames as outliers.
        """
        around = np.asarray(cv2.medianBlur(counts, 3), counts.dtype)
        apart = np.abs(counts.astype(np.int32) - around.astype(np.int32))
        noise = max(1.0, 1.4826 * float(np.median(apart)))
        outlier = apart > OUTLIER_DEVIATIONS * noise
        # An edge that stands still, such as the car's own bonnet, has outliers in rows.
        crowd = cv2.boxFilter(outlier.astype(np.uint8), -1, (3, 3), normalize=False)
        outlier &= crowd == 1
        if self._in_a_row is None or self._in_a_row.shape != counts.shape:
            self._in_a_row = np.zeros(counts.shape, np.uint8)
            self.dead = np.zeros(counts.shape, np.bool_)
        assert self.dead is not None
        self._in_a_row = np.where(outlier, np.minimum(self._in_a_row, 254) + 1, 0).astype(np.uint8)
        self.dead |= self._in_a_row >= FRAMES_TO_CONVICT
        stuck = outlier & ((counts == 0) | (counts == np.iinfo(counts.dtype).max))
        dead = self.dead | stuck
        if not dead.any() or dead.mean() > MOST_DEAD:
            return counts
        repaired: InfraredPlane = counts.copy()
        repaired[dead] = around[dead]
        return repaired
