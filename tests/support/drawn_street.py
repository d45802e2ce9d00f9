"""Two drawn recordings of one street, drawn once; offsets and gaps are stamps, not pixels."""

import dataclasses

import pytest

from mgdn_edge.runtime.synthetic.rig import Rig
from mgdn_edge.runtime.synthetic.rig_options import parse_rig

FRAMES = 150


class Street:
    """Frames of both cameras with 200 ppm of skew and 20 ms of jitter, small and noisy."""

    def __init__(self):
        self.options = parse_rig(
            f"synthetic://dusk?seed=1&size=80x60&skew=200&jitter=20&frames={FRAMES}&loss=0.05"
        )
        self.rig = Rig(self.options)
        self.visible = [self.rig.visible(number) for number in range(FRAMES)]
        self.infrared = [
            self.rig.infrared(number)
            for number in range(FRAMES)
            if not self.rig.clocks.infrared_lost(number)
        ]
        self.lost = {n for n in range(FRAMES) if self.rig.clocks.infrared_lost(n)}

    def with_offset(self, milliseconds):
        """Infrared frames as a camera would stamp them whose clock is ahead by so much."""
        return [
            dataclasses.replace(frame, pts_ns=frame.pts_ns + round(milliseconds * 1e6))
            for frame in self.infrared
        ]


@pytest.fixture(scope="session")
def street():
    return Street()


class ListSource:
    """Frames from a list as a source; ``live`` sources deliver when ``gate`` lets them."""

    def __init__(self, frames, size=(60, 80), rate=25, live=False, gate=None):
        from fractions import Fraction

        from mgdn_edge.runtime.picture.frame import SourceInfo

        self.info = SourceInfo("list", size, len(frames), Fraction(rate), Fraction(1, 10**6), live)
        self.stems, self.paths, self._frames, self._gate = None, [], frames, gate

    def frames(self):
        for number, frame in enumerate(self._frames):
            if self._gate is not None:
                self._gate(number)
            yield frame

    def interrupt(self):
        pass

    def before_close(self, end):
        self.end = end


@pytest.fixture(scope="session")
def list_source():
    return ListSource
