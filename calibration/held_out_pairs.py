"""The pairs the gate judges on: never any that was calibrated on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mgdn_edge.calibration.pair_selection import PairFacts, look_at_pairs, only_chosen
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.recordings import (
    FramePair,
    Recording,
    list_recordings,
    read_frame_pairs,
)

MOST_JUDGED = 200  # frames; each costs a second of metrics at 640x480
LEAST_PAIRS = 8  # to split: fewer leave nothing to judge on
HELD_SHARE = 4  # without --held-out, one in this many: the last of them, not their neighbours


class HeldOut(NamedTuple):
    """Held-out pairs: their facts, where they are, and notes on them."""

    facts: list[PairFacts]
    recordings: list[Recording]
    indices: list[int]
    notes: tuple[str, ...]

    def read(self) -> Iterator[FramePair]:
        """The pairs, in order."""
        return only_chosen(read_frame_pairs(self.recordings), self.indices)


def hold_out(
    arguments: Sequence[str], recordings: list[Recording], facts: Sequence[PairFacts]
) -> tuple[int, HeldOut]:
    """How many of ``facts``, from the first, may be calibrated on, and the pairs held out.

    ``arguments`` name held-out recordings; without any they are the last quarter of the pairs. More
    than MOST_JUDGED are thinned evenly. UserError where too few pairs are left.
    """
    if arguments:
        others = [each for text in arguments for each in list_recordings(text, "val")]
        found = look_at_pairs(read_frame_pairs(others))
        if not found:
            raise UserError(f"--held-out {arguments[0]} holds no pair; give another recording")
        return len(facts), _thin(found, others, 0, ())
    if len(facts) < LEAST_PAIRS:
        raise UserError(
            f"{len(facts)} pairs are too few to calibrate on some and judge on others; give at "
            f"least {LEAST_PAIRS}, or others to judge on: --held-out PAIRS"
        )
    free = len(facts) - len(facts) // HELD_SHARE
    note = "the held-out pairs are the last quarter of the same recordings"
    return free, _thin(list(facts[free:]), recordings, free, (note,))


def refuse_seen(calibrated: Sequence[PairFacts], held_out: HeldOut) -> None:
    """UserError where a held-out pair is one that was calibrated on."""
    seen = {(each.digest.visible, each.digest.infrared): each.digest.name for each in calibrated}
    for each in held_out.facts:
        name = seen.get((each.digest.visible, each.digest.infrared))
        if name is not None:
            raise UserError(
                f"held-out pair {each.digest.name} is calibration pair {name}; a verdict on what "
                "was calibrated on says nothing, give other pairs to --held-out"
            )


def _thin(
    facts: list[PairFacts], recordings: list[Recording], first: int, notes: tuple[str, ...]
) -> HeldOut:
    count = min(len(facts), MOST_JUDGED)
    places = np.linspace(0, len(facts) - 1, count).round().astype(int).tolist()
    if count < len(facts):
        notes = (*notes, f"{count} of {len(facts)} held-out pairs judged, spread evenly")
    return HeldOut(
        [facts[place] for place in places], recordings, [first + p for p in places], notes
    )
