"""KeptFrames: the first, the middle and the slowest frame of a stream, kept while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mgdn_edge.runtime.alignment.apply.registration import RegisteredPair
from mgdn_edge.runtime.pairing.pairs import Pair
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.stream.frame_times import Pace, frame_time_ns
from mgdn_edge.runtime.stream.latency import warmup_frames
from mgdn_edge.runtime.stream.result import KeptFrame


@dataclass
class KeptFrames:
    """Observes a stream: never more than three frames and one spare plane, however long it is.

    ``count`` is how many frames there will be, None where that is not known.

    Sources hand out frames they do not touch again, so holding one copies nothing; the fused
    plane belongs to its slot and is copied once a frame (640x480: 12 us alone, 50 us beside a
    busy encoder, medians of four clips in turns).
    """

    count: int | None
    pace: Pace
    _spare: Plane | None = None
    _finished: int = 0
    _by_role: dict[str, KeptFrame] = field(default_factory=dict)

    def see_pair(self, pair: Pair) -> None:
        """Nothing to see before registration."""

    def see_fused(self, fused: Plane) -> None:
        """(H, W) uint8 fused luma of the frame being written, while its slot is still held."""
        if self._spare is None or self._spare.shape != fused.shape:
            self._spare = np.empty_like(fused)
        np.copyto(self._spare, fused)

    def see_written(self, pair: RegisteredPair) -> None:
        """Keep the held frame if it is the first, the middle or the slowest after warm-up."""
        time_ns = frame_time_ns(pair.stamps, self.pace)
        roles = []
        if not self._finished:
            roles.append("first")
        if "middle" not in self._by_role and pair.stamps.seq >= (self.count or 0) // 2 > 0:
            roles.append("middle")
        slowest = self._by_role.get("slowest")
        warm = self._finished >= warmup_frames(self.count or 0)
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
