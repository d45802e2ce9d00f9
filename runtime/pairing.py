"""Pairing of two recorded sources: clips in lockstep, folders by stem.

Lengths and stems are compared when the pairs are opened, sizes at every pair, so a wrong
input is reported before anything is written wherever that can be known.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.frame import InfraredFrame, SourceInfo, VisibleFrame
from mgdn_edge.runtime.ledger import FrameStamps
from mgdn_edge.runtime.sources import Source

if TYPE_CHECKING:
    from mgdn_edge.runtime.alignment.drift import DriftMonitor
    from mgdn_edge.runtime.alignment.remap import Alignment

NAMED_STEMS = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """A visible frame, its infrared partner, stamps.

    Sizes may differ only with resize or an ``alignment``, which is still to be applied.
    """

    visible: VisibleFrame
    infrared: InfraredFrame
    stamps: FrameStamps
    alignment: Alignment | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the output: the rig's working size, else the visible frame's."""
        if self.alignment is not None:
            return self.alignment.size
        return self.visible.y.shape[0], self.visible.y.shape[1]


class Pairs:
    """The pairs of two sources, which it reads but does not own.

    ``count`` is how many there will be, ``size`` the (height, width) common to all, or None
    where each has its own; ``has_counts``: the infrared is 16-bit. ``alignment`` is given to every
    pair and may be replaced by a newer one of the same size at any time; ``monitor``, where set,
    is shown every pair. Raises UserError for lengths, stems or sizes that do not match.
    """

    def __init__(
        self,
        visible: Source[VisibleFrame],
        infrared: Source[InfraredFrame],
        *,
        frames: int | None = None,
        shortest: bool = False,
        resize: bool = False,
        alignment: Alignment | None = None,
    ) -> None:
        if frames is not None and frames < 1:
            raise UserError(f"--frames {frames} asks for no frame; give 1 or more")
        if visible.stems is not None and infrared.stems is not None:
            stems = _common_stems(visible, infrared, shortest=shortest)
            visible, infrared = visible.only(stems), infrared.only(stems)
        self.visible = visible
        self.infrared = infrared
        self.count = self._pair_count(frames, shortest=shortest)
        self.alignment = alignment
        self.monitor: DriftMonitor | None = None
        self._resize = resize
        self._shortest = shortest
        first = self._first_pair()
        fixed = visible.info.size is not None or alignment is not None
        self.size = first.size if fixed else None
        self.is_colour = first.visible.chroma is not None
        self.has_counts = first.infrared.counts is not None

    @property
    def output_info(self) -> SourceInfo:
        """What the visible source promises, of the output's size."""
        return replace(self.visible.info, size=self.size)

    def _pair_count(self, frames: int | None, *, shortest: bool) -> int:
        ours, theirs = self.visible.info.frames, self.infrared.info.frames
        if ours is None or theirs is None:
            raise UserError("a source of unknown length cannot be paired by order; give files")
        wanted = max(ours, theirs) if frames is None else frames
        ours, theirs = min(ours, wanted), min(theirs, wanted)
        if ours != theirs and not shortest:
            raise UserError(
                f"visible has {self.visible.info.frames} frames, infrared "
                f"{self.infrared.info.frames}; give clips of one length, or --shortest to stop "
                "at the shorter"
            )
        return min(ours, theirs)

    def _first_pair(self) -> Pair:
        with closing(self.read()) as pairs:
            for pair in pairs:
                return pair
        raise UserError(f"{self.visible.info.uri} or {self.infrared.info.uri} has no frames")

    def read(self) -> Generator[Pair, None, None]:
        """Pairs from the first on, stamped until ``paired_ns``; close it to close the files."""
        with (
            closing(self.visible.frames()) as visible_frames,
            closing(self.infrared.frames()) as infrared_frames,
        ):
            for seq in range(self.count):
                stamps = FrameStamps(seq=seq, read_ns=time.perf_counter_ns())
                stamps.capture_ns = stamps.read_ns
                visible = next(visible_frames, None)
                stamps.decoded_ns = time.perf_counter_ns()
                infrared = next(infrared_frames, None)
                stamps.paired_ns = time.perf_counter_ns()
                if visible is None or infrared is None:
                    self._check_end(seq, visible, infrared)
                    return
                stamps.pts_ns = visible.pts_ns
                self._check_sizes(visible, infrared)
                pair = Pair(visible, infrared, stamps, self.alignment)
                if self.monitor is not None:
                    self.monitor.offer(pair)
                yield pair

    def _check_end(
        self, seq: int, visible: VisibleFrame | None, infrared: InfraredFrame | None
    ) -> None:
        # Packets were counted, yet fewer pictures came out: a stream may hold packets without
        # one. Both ending together is its true length.
        if self._shortest or (visible is None and infrared is None):
            return
        ended = self.visible if visible is None else self.infrared
        raise UserError(
            f"{ended.info.uri} ends after {seq} frames where the other goes on; "
            "pass --shortest to stop there"
        )

    def _check_sizes(self, visible: VisibleFrame, infrared: InfraredFrame) -> None:
        ours, theirs = visible.y.shape, infrared.plane.shape
        if self.alignment is not None:
            self.alignment.check_sizes((ours[0], ours[1]), (theirs[0], theirs[1]))
            return
        if ours != theirs and not self._resize:
            where = f"frame {visible.seq}" if visible.stem is None else visible.stem
            raise UserError(
                f"{where}: visible is {ours[1]}x{ours[0]}, infrared {theirs[1]}x{theirs[0]}; "
                "give images of one size, --resize to resize infrared to visible, or --rig where "
                "the cameras are not aligned (mgdn align measures it)"
            )


def _common_stems(
    visible: Source[VisibleFrame], infrared: Source[InfraredFrame], *, shortest: bool
) -> list[str]:
    ours, theirs = visible.stems or [], infrared.stems or []
    common = [stem for stem in ours if stem in set(theirs)]
    if not common:
        raise UserError(
            f"{visible.info.uri} and {infrared.info.uri} share no file stem; "
            "give partners the same name, such as vi/07.png and ir/07.png"
        )
    only_ours, only_theirs = set(ours) - set(common), set(theirs) - set(common)
    if (only_ours or only_theirs) and not shortest:
        missing = [
            f"{_named([stem for stem in stems if stem in lonely])} missing in {other.info.uri}"
            for stems, lonely, other in (
                (ours, only_ours, infrared),
                (theirs, only_theirs, visible),
            )
            if lonely
        ]
        raise UserError(
            f"{'; '.join(missing)}; complete the folders, or pass --shortest to fuse the "
            f"{len(common)} common ones"
        )
    return common


def _named(stems: list[str]) -> str:
    more = len(stems) - NAMED_STEMS
    return ", ".join(stems[:NAMED_STEMS]) + (f" and {more} more" if more > 0 else "")
