"""Pairing of two recorded sources: clips in lockstep, folders by stem.

Lengths and stems are compared when the pairs are opened, sizes at every pair, so a wrong
input is reported before anything is written wherever that can be known.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

from mgdn_edge.runtime.capture.sources import Source
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.frame_stamps import FrameStamps
from mgdn_edge.runtime.pairing.pairs import Pair, Pairs
from mgdn_edge.runtime.picture.frame import InfraredFrame, VisibleFrame

NAMED_STEMS = 3


class OrderedPairs(Pairs):
    """Clips frame by frame, folders by stem.

    Raises UserError for lengths, stems or sizes that do not match.
    """

    count: int

    def __init__(
        self,
        visible: Source[VisibleFrame],
        infrared: Source[InfraredFrame],
        *,
        frames: int | None = None,
        shortest: bool = False,
        resize: bool = False,
    ) -> None:
        if frames is not None and frames < 1:
            raise UserError(f"--frames {frames} asks for no frame; give 1 or more")
        if visible.stems is not None and infrared.stems is not None:
            stems = _common_stems(visible, infrared, shortest=shortest)
            visible, infrared = visible.only(stems), infrared.only(stems)
        super().__init__(visible, infrared, resize=resize)
        self.count = self._pair_count(frames, shortest=shortest)
        self._shortest = shortest
        self.first = self._first_pair()

    def _pair_count(self, frames: int | None, *, shortest: bool) -> int:
        visible, infrared = self.visible.info.frames, self.infrared.info.frames
        if visible is None or infrared is None:
            raise UserError("a source of unknown length cannot be paired by order; give files")
        wanted = max(visible, infrared) if frames is None else frames
        visible, infrared = min(visible, wanted), min(infrared, wanted)
        if visible != infrared and not shortest:
            raise UserError(
                f"visible has {self.visible.info.frames} frames, infrared "
                f"{self.infrared.info.frames}; give clips of one length",
                ways=("or --shortest to stop at the shorter",),
            )
        return min(visible, infrared)

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
                yield Pair(visible, infrared, stamps)

    def _check_end(
        self, seq: int, visible: VisibleFrame | None, infrared: InfraredFrame | None
    ) -> None:
        # Packets were counted, yet fewer pictures came out: a stream may hold packets without
        # one. Both ending together is its true length.
        if self._shortest or (visible is None and infrared is None):
            return
        ended = self.visible if visible is None else self.infrared
        raise UserError(
            f"{ended.info.uri} ends after {seq} frames where the other goes on; give clips of one "
            "length",
            ways=("or --shortest to stop there",),
        )


def _common_stems(
    visible: Source[VisibleFrame], infrared: Source[InfraredFrame], *, shortest: bool
) -> list[str]:
    visible_stems, infrared_stems = set(visible.stems or []), set(infrared.stems or [])
    common = [stem for stem in visible.stems or [] if stem in infrared_stems]
    if not common:
        raise UserError(
            f"{visible.info.uri} and {infrared.info.uri} share no file stem; "
            "give partners the same name, such as vi/07.png and ir/07.png"
        )
    if visible_stems != infrared_stems and not shortest:
        missing = [
            f"{_named([s for s in source.stems or [] if s in lonely])} missing in {other.info.uri}"
            for source, lonely, other in (
                (visible, visible_stems - infrared_stems, infrared),
                (infrared, infrared_stems - visible_stems, visible),
            )
            if lonely
        ]
        raise UserError(
            f"{'; '.join(missing)}; complete the folders",
            ways=(f"or pass --shortest to take the {len(common)} common ones",),
        )
    return common


def _named(stems: list[str]) -> str:
    more = len(stems) - NAMED_STEMS
    return ", ".join(stems[:NAMED_STEMS]) + (f" and {more} more" if more > 0 else "")
