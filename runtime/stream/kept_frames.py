"""KeptFrames: the first, the middle and the slowest frame of a stream, kept while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mgdn_edge.runtime.picture.frame import InfraredPlane, Plane, VisibleFrame
from mgdn_edge.runtime.stream.frame_times import frame_time_ns
from mgdn_edge.runtime.stream.latency import warmup_frames

if TYPE_CHECKING:
    from mgdn_edge.runtime.pairing.by_order import Pair
    from mgdn_edge.runtime.stream.stream import Pace


@dataclass
class KeptFrame:
    """One frame's pictures: why it was kept, and its time as its pace defines it."""

    roles: list[str]
    visible: VisibleFrame
    infrared: InfraredPlane
    fused: Plane
    time_ns: int


@dataclass
class KeptFrames:
    """Never more than three frames and one spare plane, however long the stream.

    Sources hand out frames they do not touch again, so holding one copies nothing; the fused
    plane belongs to its slot and is copied once a frame (640x480: 12 us alone, 50 us beside a
    busy encoder, medians of four clips in turns). Both methods are called on the writer's thread.
    """

    count: int
    pace: Pace
    _spare: Plane | None = None
    _finished: int = 0
    _by_role: dict[str, KeptFrame] = field(default_factory=dict)

    def hold(self, fused: Plane) -> None:
        """(H, W) uint8 fused luma of the frame being written, while its slot is still held."""
        if self._spare is None or self._spare.shape != fused.shape:
            self._spare = np.empty_like(fused)
        np.copyto(self._spare, fused)

    def decide(self, pair: Pair) -> None:
        """Keep the held frame if it is the first, the middle or the slowest after warm-up."""
        time_ns = frame_time_ns(pair.stamps, self.pace)
        roles = []
        if not self._finished:
            roles.append("first")
        if "middle" not in self._by_role and pair.stamps.seq >= self.count // 2 > 0:
            roles.append("middle")
        slowest = self._by_role.get("slowest")
        warm = self._finished >= warmup_frames(self.count)
        if warm and (slowest is None or time_ns > slowest.time_ns):
            roles.append("slowest")
        self._finished += 1
        if roles:
            assert self._spare is not None
            kept = KeptFrame([], pair.visible, pair.infrared.plane, self._spare, time_ns)
            self._by_role.update(dict.fromkeys(roles, kept))
            self._spare = None

    def frames(self) -> list[KeptFrame]:
        """The frames kept, in the order they were shown, each with all its roles."""
        frames: dict[int, KeptFrame] = {}
        for role, kept in self._by_role.items():
            frame = frames.setdefault(kept.visible.seq, kept)
            if role not in frame.roles:
                frame.roles.append(role)
        return [frames[seq] for seq in sorted(frames)]
