"""A recording as a camera: over and over, at its own pace, to try a live set-up at a desk."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from mgdn_edge.runtime.capture.clocks import live_clock
from mgdn_edge.runtime.capture.files.images import STILL_RATE
from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Reader
from mgdn_edge.runtime.picture.frame import SourceInfo

NS = 1_000_000_000
MICROSECOND = Fraction(1, 1_000_000)


class LoopReader(Reader):
    """``reader`` again and again (once without ``loop``) at ``fps`` frames per second, live."""

    def __init__(self, reader: Reader, fps: Fraction | None, *, loop: bool) -> None:
        self._reader = reader
        self._loop = loop
        self._stopped = threading.Event()
        rate = fps or reader.info.rate or Fraction(STILL_RATE)
        self._interval = NS / rate
        self.info = SourceInfo(reader.info.uri, reader.info.size, None, rate, MICROSECOND, True)

    @property
    def paths(self) -> list[Path]:
        """The recording's own files."""
        return self._reader.paths

    def interrupt(self) -> None:
        """Ends ``frames`` at the next frame."""
        self._stopped.set()

    def frames(self) -> Generator[RawFrame, None, None]:
        """Frames when they are due; the first at once."""
        self._stopped.clear()
        start_ns = live_clock.now_ns()
        seq = 0
        while True:
            for raw in self._reader.frames():
                due_ns = start_ns + int(seq * self._interval)
                if self._stopped.wait(max(0, due_ns - live_clock.now_ns()) / NS):
                    return
                yield replace(raw, pts_ns=due_ns, seq=seq, stem=None)
                seq += 1
            if not self._loop:
                return
