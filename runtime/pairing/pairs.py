"""Pair and Pairs: what both ways of pairing give, by order and by time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass

from mgdn_edge.runtime.capture.sources import Source
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.picture.frame import InfraredFrame, Size, VisibleFrame


@dataclass(frozen=True, slots=True)
class Pair:
    """A visible frame, its infrared partner, stamps. Sizes differ only where they may."""

    visible: VisibleFrame
    infrared: InfraredFrame
    stamps: FrameStamps

    @property
    def size(self) -> Size:
        """(height, width) of the visible frame."""
        return self.visible.y.shape[0], self.visible.y.shape[1]


class Pairs(ABC):
    """The pairs of two sources, which it reads but does not own.

    ``count`` is how many there will be at most, None where only a stop ends them; ``first`` the
    first of them; ``size`` the (height, width) common to all visible frames, or None where each
    has its own. ``resize``: the sizes of the two cameras may differ.
    """

    count: int | None
    first: Pair

    def __init__(
        self, visible: Source[VisibleFrame], infrared: Source[InfraredFrame], *, resize: bool
    ) -> None:
        self.visible = visible
        self.infrared = infrared
        self._resize = resize

    @property
    def size(self) -> Size | None:
        """(height, width) of every visible frame, None where they differ."""
        return self.first.size if self.visible.info.size is not None else None

    @property
    def is_colour(self) -> bool:
        """Whether the visible camera sees colour."""
        return self.first.visible.chroma is not None

    @property
    def has_counts(self) -> bool:
        """Whether the infrared is 16-bit."""
        return self.first.infrared.counts is not None

    @abstractmethod
    def read(self) -> Generator[Pair, None, None]:
        """Pairs from the first on, stamped until ``paired_ns``; close it to close the files.

        Raises UserError at the first pair that cannot be read or does not match.
        """

    def _check_sizes(self, visible: VisibleFrame, infrared: InfraredFrame) -> None:
        (height, width), (infrared_height, infrared_width) = visible.y.shape, infrared.plane.shape
        if visible.y.shape != infrared.plane.shape and not self._resize:
            where = f"frame {visible.seq}" if visible.stem is None else visible.stem
            raise UserError(
                f"{where}: visible is {width}x{height}, infrared "
                f"{infrared_width}x{infrared_height}",
                ways=(
                    "give images of one size",
                    "--resize resizes infrared to visible",
                    "--rig aligns cameras that are not (mgdn align measures it)",
                ),
            )
