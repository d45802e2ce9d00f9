"""Sink: where fused frames go, one step per ledger stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

from mgdn_edge.runtime.picture.frame import Plane, VisibleFrame

Picture = TypeVar("Picture")
Encoded = TypeVar("Encoded")


class Sink(ABC, Generic[Picture, Encoded]):
    """Takes frames in order from one thread; creates nothing before its first ``output``.

    ``copy_out``, ``compose``, ``encode``, ``output`` are the four stages of one frame. After
    ``copy_out`` the fused plane is no longer read. End with ``close``, which keeps what was
    written, or ``discard``, which removes it: a failed run leaves no output.
    """

    path: Path

    @property
    def uri(self) -> str:
        """Where the frames go, for people to read."""
        return str(self.path)

    @abstractmethod
    def copy_out(self, fused: Plane, visible: VisibleFrame) -> Picture:
        """(H, W) uint8 fused luma -> a picture that owns a copy of it."""

    @abstractmethod
    def compose(self, picture: Picture, visible: VisibleFrame) -> Picture:
        """Put ``visible``'s chroma and tags beside the luma."""

    @abstractmethod
    def encode(self, picture: Picture, visible: VisibleFrame) -> Encoded:
        """Compress the picture."""

    @abstractmethod
    def output(self, encoded: Encoded) -> None:
        """Hand it to the file; raises UserError where that fails."""

    @abstractmethod
    def close(self) -> None:
        """Finish the files written so far."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what this sink wrote."""
