"""Observer: what looks on while a stream runs, such as a recorder of counts."""

from __future__ import annotations

from typing import Protocol

from mgdn_edge.runtime.alignment.apply.registration import RegisteredPair
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import Plane


class Observer(Protocol):
    """Told of every frame, one call at a time from each thread; an error raised ends the stream."""

    def see_pair(self, pair: Pair) -> None:
        """A pair before its registration, on fusion's thread."""

    def see_fused(self, fused: Plane) -> None:
        """(H, W) uint8 fused luma, gone after this call; on the writer's thread."""

    def see_written(self, pair: RegisteredPair) -> None:
        """The pair whose fused luma was seen last, its stamps complete; on the writer's thread.

        A network may have lost the fused picture.
        """
