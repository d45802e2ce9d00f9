"""Registration: the stage between pairing and fusion that lays both pictures on one grid.

``SameGrid`` is for cameras whose pictures already cover each other, ``RigGrid`` for those that a
rig file describes. Both write straight into the planes that fusion reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from mgdn_edge.runtime.alignment.apply.remap import Alignment
from mgdn_edge.runtime.alignment.apply.rig_file import read_rig
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import InfraredFrame, Plane, Size, VisibleFrame


@dataclass(frozen=True, slots=True)
class RegisteredPair:
    """A pair on one grid: ``visible`` as it will be shown, ``infrared`` as its camera gave it.

    ``alignment`` is what brought infrared onto the grid, None where it was there or was resized.
    """

    visible: VisibleFrame
    infrared: InfraredFrame
    stamps: FrameStamps
    alignment: Alignment | None = None

    @property
    def size(self) -> Size:
        """(height, width) of the grid."""
        return self.visible.y.shape[0], self.visible.y.shape[1]


class Registration(Protocol):
    """Lays pairs on one grid."""

    def size_of(self, pair: Pair) -> Size:
        """(height, width) of the grid this pair will lie on; raises UserError where it cannot."""

    def register(self, pair: Pair, visible: Plane, infrared: Plane) -> RegisteredPair:
        """Write both luma planes, (H, W) uint8 of ``size_of(pair)``, in place.

        Stamps ``aligned_ns`` between what alignment costs and plain copies.
        """


class SameGrid:
    """The visible frame's own grid; infrared of another size is resized to it."""

    def size_of(self, pair: Pair) -> Size:
        """(height, width) of the visible frame."""
        return pair.size

    def register(self, pair: Pair, visible: Plane, infrared: Plane) -> RegisteredPair:
        """Copy visible luma; copy infrared or resize it, as pairing has let pass."""
        plane, stamps = pair.infrared.plane, pair.stamps
        if plane.shape == infrared.shape:
            stamps.aligned_ns = stamps.taken_ns
            np.copyto(infrared, plane)
        else:
            resize_into(np.asarray(plane, np.uint8), infrared)
            stamps.aligned_ns = time.perf_counter_ns()
        np.copyto(visible, pair.visible.y)
        return RegisteredPair(pair.visible, pair.infrared, pair.stamps)


class RigGrid:
    """The working grid of a rig. ``newest`` gives the alignment to use now.

    The newest one may be a corrected one; its size never changes.
    """

    def __init__(self, newest: Callable[[], Alignment]) -> None:
        self._newest = newest

    def size_of(self, pair: Pair) -> Size:
        """The rig's working (height, width); UserError unless the rig is of these cameras."""
        alignment, (height, width) = self._newest(), pair.infrared.plane.shape
        alignment.check_sizes(pair.size, (height, width))
        return alignment.size

    def register(self, pair: Pair, visible: Plane, infrared: Plane) -> RegisteredPair:
        """Both planes by the rig's maps."""
        alignment = self._newest()
        shown = alignment.align_visible(pair.visible)
        alignment.align_infrared(pair.infrared.plane, shown.y, infrared)
        pair.stamps.aligned_ns = time.perf_counter_ns()
        np.copyto(visible, shown.y)
        return RegisteredPair(shown, pair.infrared, pair.stamps, alignment)


def open_alignment(
    rig: Path | None,
    distance_m: float | None,
    *,
    resize: bool = False,
    realign: bool = False,
) -> Alignment | None:
    """The alignment of a rig file, None without one; raises UserError for options that clash."""
    if rig is None:
        if distance_m is not None:
            raise UserError("--distance chooses within a rig; pass --rig FILE.toml too")
        if realign:
            raise UserError("--realign corrects a rig; pass --rig FILE.toml too")
        return None
    if resize:
        raise UserError("--rig and --resize both say how sizes meet; pass one of them")
    return Alignment(read_rig(rig), distance_m)


def resize_into(plane: Plane, target: Plane) -> None:
    """(h, w) uint8 -> (H, W) uint8 in place: area means down, linear interpolation up."""
    height, width = target.shape
    shrinks = height * width < plane.shape[0] * plane.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(plane, (width, height), dst=target, interpolation=method)
    if resized is not target:  # OpenCV allocates where the target's memory does not suit it
        np.copyto(target, resized)
