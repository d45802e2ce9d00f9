"""Were visible and infrared exchanged at calibration? Held-out pairs of the same kind can tell.

Nothing in two grey planes says which camera made them: sharpness, entropy and brightness differ
from set to set by more than from camera to camera. But where calibration's planes have the levels
of the held-out pairs' *other* planes, and not those of their own, they were exchanged. Held-out
pairs of another kind resemble neither, and then there is no warning.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mgdn_edge.calibration.pair_selection import PairFacts

# In standard deviations of the levels. Two halves of one set are 0.13 apart and 0.67 exchanged;
# the closest two different sets ever come exchanged is 0.28 (TNO and M3FD).
ALIKE = 0.2
TIMES_FARTHER = 2.0

Counts = npt.NDArray[np.int64]


def looks_exchanged(calibration: Iterable[PairFacts], held_out: Iterable[PairFacts]) -> bool:
    """True where calibration's planes are those of the other camera of the held-out pairs."""
    visible, infrared = add_levels(calibration)
    held_visible, held_infrared = add_levels(held_out)
    as_they_are = level_distance(visible, held_visible) + level_distance(infrared, held_infrared)
    exchanged = level_distance(visible, held_infrared) + level_distance(infrared, held_visible)
    return exchanged / 2 < ALIKE and as_they_are > TIMES_FARTHER * exchanged


def add_levels(facts: Iterable[PairFacts]) -> tuple[Counts, Counts]:
    """Facts -> (256,) counts of visible and of infrared levels over all pairs."""
    levels = [each.levels for each in facts]
    visible, infrared = (np.sum([pair[part] for pair in levels], axis=0) for part in (0, 1))
    return visible, infrared


def level_distance(first: Counts, second: Counts) -> float:
    """(256,), (256,) -> Wasserstein's distance in standard deviations of the first."""
    shares = [counts / counts.sum() for counts in (first, second)]
    apart = float(np.abs(np.cumsum(shares[0]) - np.cumsum(shares[1])).sum())
    levels = np.arange(len(first))
    mean = float((levels * shares[0]).sum())
    spread = float(np.sqrt((np.square(levels - mean) * shares[0]).sum()))
    return apart / max(spread, 1.0)
