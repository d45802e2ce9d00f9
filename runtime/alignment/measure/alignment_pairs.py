"""Frames to align by: pairs spread over a recording."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from mgdn_edge.runtime.capture.sources import InfraredOptions, open_infrared, open_visible
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.by_order import OrderedPairs
from mgdn_edge.runtime.picture.frame import Plane, VisibleFrame

MOST_READ = 300  # pairs; ten seconds of video show a scene's motion, decoding hours does not


@dataclass(frozen=True)
class AlignmentPair:
    """A visible frame and (h, w) uint8 infrared of the same moment."""

    visible: VisibleFrame
    infrared: Plane


def read_alignment_pairs(
    visible: str, infrared: str, options: InfraredOptions, count: int
) -> list[AlignmentPair]:
    """At most ``count`` pairs, evenly spread over the first 300.

    Raises UserError for sources that cannot be read or whose frames differ in size.
    """
    with (
        open_visible(visible) as visible_source,
        open_infrared(infrared, options) as infrared_source,
    ):
        pairs = OrderedPairs(visible_source, infrared_source, shortest=True, resize=True)
        readable = min(pairs.count, MOST_READ)
        wanted = set(np.linspace(0, readable - 1, min(count, readable)).round().astype(int))
        taken = []
        with closing(pairs.read()) as reading:
            for index, pair in enumerate(reading):
                if index in wanted:
                    plane = np.asarray(pair.infrared.plane, np.uint8)
                    taken.append(AlignmentPair(pair.visible, plane))
                if index >= max(wanted):
                    break
    first = taken[0]
    for each in taken:
        if (each.visible.y.shape, each.infrared.shape) != (
            first.visible.y.shape,
            first.infrared.shape,
        ):
            raise UserError(
                f"{visible} or {infrared} holds frames of several sizes; a rig is two cameras of "
                "one size each: give one recording"
            )
    return taken
