"""Which pairs are calibrated on: spread over dark and bright, flat and rich, and described."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.bundle.ranges import PairDigest
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.machine.progress import SILENT, Progress
from mgdn_edge.runtime.pairing.recordings import FramePair
from mgdn_edge.runtime.picture.frame import Plane

DARK, BRIGHT = 50.0, 110.0  # mean visible level: night and dusk streets, daylight
FLAT, RICH = 25.0, 45.0  # standard deviation of infrared levels: fog or low gain, hot targets
DARKNESS = ("dark", "medium", "bright")
CONTRAST = ("low", "medium", "high")
BLANK = 1.0  # level: a lens cap, a camera that has not started, black filler frames


class PairFacts(NamedTuple):
    """One pair's place among the others.

    ``levels`` are (256,) counts of the visible and of the infrared plane's levels, the rest are in
    levels of 255.
    """

    digest: PairDigest
    levels: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    brightness: float
    visible_contrast: float
    infrared_contrast: float

    @property
    def group(self) -> tuple[str, str]:
        """(darkness of the visible plane, contrast of the infrared plane)."""
        return (
            DARKNESS[int(np.searchsorted((DARK, BRIGHT), self.brightness, "right"))],
            CONTRAST[int(np.searchsorted((FLAT, RICH), self.infrared_contrast, "right"))],
        )


def look_at_pairs(pairs: Iterable[FramePair], progress: Progress = SILENT) -> list[PairFacts]:
    """Pairs -> their facts, one after the other, none kept."""
    found = []
    for pair in pairs:
        found.append(
            PairFacts(
                digest_pair(pair),
                (_levels(pair.visible), _levels(pair.infrared)),
                float(pair.visible.mean()),
                float(pair.visible.std()),
                float(pair.infrared.std()),
            )
        )
        progress.advance()
    return found


def digest_pair(pair: FramePair) -> PairDigest:
    """A pair -> its name and the digests of its planes."""
    return PairDigest(pair.name, _digest(pair.visible), _digest(pair.infrared))


def select_pairs(facts: Sequence[PairFacts], wanted: int) -> list[int]:
    """Indices of at most ``wanted`` pairs: the groups take turns, each spread over its time.

    Pairs with a blank plane and repetitions of one pair are passed over. UserError where none is
    left, or ``wanted`` is below one.
    """
    if wanted < 1:
        raise UserError(f"--pairs {wanted} selects nothing; give 1 or more")
    if not facts:
        raise UserError("no pair was found to calibrate on")
    seen: set[tuple[str, str]] = set()
    groups: dict[tuple[str, str], list[int]] = {}
    for index, each in enumerate(facts):
        key = (each.digest.visible, each.digest.infrared)
        if key in seen or min(each.visible_contrast, each.infrared_contrast) < BLANK:
            continue
        seen.add(key)
        groups.setdefault(each.group, []).append(index)
    if not groups:
        visible = max(each.visible_contrast for each in facts)
        infrared = max(each.infrared_contrast for each in facts)
        raise UserError(
            f"all {len(facts)} calibration pairs are blank (the strongest contrast is "
            f"{visible:.1f} levels visible, {infrared:.1f} infrared): ranges from them would clip "
            "every real frame; calibrate on recordings of the scene"
        )
    shares = _take_turns({group: len(members) for group, members in groups.items()}, wanted)
    return sorted(
        members[(2 * part + 1) * len(members) // (2 * shares[group])]
        for group, members in groups.items()
        for part in range(shares[group])
    )


def describe_selection(facts: Sequence[PairFacts], chosen: Sequence[int]) -> str:
    """How many of how many, in which light and with which infrared contrast."""
    groups = [facts[index].group for index in chosen]
    darkness, contrast = (Counter(group[part] for group in groups) for part in (0, 1))
    light = ", ".join(f"{darkness[name]} {name}" for name in DARKNESS if darkness[name])
    heat = ", ".join(f"{contrast[name]} {name}" for name in CONTRAST if contrast[name])
    return f"{len(chosen)} of {len(facts)} pairs; visible light: {light}; infrared contrast: {heat}"


def only_chosen(pairs: Iterable[FramePair], chosen: Sequence[int]) -> Iterator[FramePair]:
    """The pairs at the ascending indices ``chosen``; reading ends with the last."""
    wanted = set(chosen)
    for index, pair in enumerate(pairs):
        if index in wanted:
            yield pair
            wanted.remove(index)
            if not wanted:
                return


def _levels(plane: Plane) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = np.bincount(plane.ravel(), minlength=256)
    return counts


def _take_turns(sizes: dict[tuple[str, str], int], wanted: int) -> dict[tuple[str, str], int]:
    """Group -> how many it gives when the groups give one each in turn."""
    shares = dict.fromkeys(sizes, 0)
    while sum(shares.values()) < min(wanted, sum(sizes.values())):
        for group in sorted(sizes):
            if shares[group] < sizes[group] and sum(shares.values()) < wanted:
                shares[group] += 1
    return shares


def _digest(plane: Plane) -> str:
    shape = f"{plane.shape[0]} {plane.shape[1]} ".encode()
    return hashlib.sha256(shape + np.ascontiguousarray(plane).tobytes()).hexdigest()
