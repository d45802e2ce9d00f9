"""A rig's cameras as sources, so that every command takes ``synthetic://`` like a file.

The same URI opened as visible and as infrared gives both cameras of one scene. Frames the truth
calls lost are left out: the two sources then differ in length and stamps, and pairing by order
refuses them unless --shortest.
"""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from typing import Literal

from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader
from mgdn_edge.runtime.picture.frame import ColourTags, SourceInfo
from mgdn_edge.runtime.synthetic.rig import open_rig

MICROSECOND = Fraction(1, 1_000_000)

CameraName = Literal["visible", "infrared"]


class SyntheticReader(Reader):
    """One camera of a rig. Raises UserError for a wrong URI."""

    def __init__(self, uri: str, camera: CameraName) -> None:
        self._rig = open_rig(uri)
        self._camera = camera
        options, clocks = self._rig.options, self._rig.clocks
        visible = camera == "visible"
        lost = clocks.visible_lost if visible else clocks.infrared_lost
        self._numbers = [number for number in range(options.frames) if not lost(number)]
        self.info = SourceInfo(
            uri=uri,
            size=options.size if visible else options.infrared_size,
            frames=len(self._numbers),
            rate=options.fps,
            # Visible stamps are whole frames; the infrared clock runs on its own.
            time_base=1 / options.fps if visible else MICROSECOND,
            live=False,
        )

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames in order, drawn as they are asked for."""
        for seq, number in enumerate(self._numbers):
            yield (
                self._visible(number, seq)
                if self._camera == "visible"
                else self._infrared(number, seq)
            )

    def _visible(self, number: int, seq: int) -> RawFrame:
        frame = self._rig.visible(number, seq)
        return RawFrame(
            y=frame.y,
            chroma=frame.chroma,
            subsampling=frame.subsampling,
            bits=8,
            tags=frame.tags,
            pts_ns=frame.pts_ns,
            seq=seq,
            stem=None,
            origin=self._origin(number),
        )

    def _infrared(self, number: int, seq: int) -> RawFrame:
        frame = self._rig.infrared(number, seq)
        return RawFrame(
            y=frame.plane,
            chroma=None,
            subsampling=(1, 1),
            bits=self._rig.options.ir_bits,
            tags=ColourTags(),
            pts_ns=frame.pts_ns,
            seq=seq,
            stem=None,
            origin=self._origin(number),
        )

    def _origin(self, number: int) -> str:
        return f"frame {number} of {self.info.uri}"
