"""Sink: where fused frames go, one step per ledger stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from mgdn_edge.runtime.output.partial_file import Kept
from mgdn_edge.runtime.picture.frame import Plane, VisibleFrame

SinkPicture = TypeVar("SinkPicture")
Encoded = TypeVar("Encoded")


class Sink(ABC, Generic[SinkPicture, Encoded]):
    """Takes frames in order from one thread. A context: begun when entered, kept when left.

    ``copy_out``, ``compose``, ``encode``, ``output`` are the four stages of one frame. After
    ``copy_out`` the fused plane is no longer read. End with ``close``, which gives what was
    written its name, or ``keep``, which leaves it under its partial name. A network may lose
    frames: ``lost`` counts them, ``reconnects`` how often it was found again, None for files.
    """

    path: Path
    kept: Kept | None = None
    lost: int | None = None
    reconnects: int | None = None

    @property
    def uri(self) -> str:
        """Where the frames go, for people to read."""
        return str(self.path)

    def begin(self) -> None:
        """Take the place where frames will grow; UserError where another run writes there.

        The first ``output`` does it too.
        """

    @abstractmethod
    def copy_out(self, fused: Plane, visible: VisibleFrame) -> SinkPicture:
        """(H, W) uint8 fused luma -> a picture that owns a copy of it."""

    @abstractmethod
    def compose(self, picture: SinkPicture, visible: VisibleFrame) -> SinkPicture:
        """Put ``visible``'s chroma and tags beside the luma."""

    @abstractmethod
    def encode(self, picture: SinkPicture, visible: VisibleFrame) -> Encoded:
        """Compress the picture."""

    @abstractmethod
    def output(self, encoded: Encoded) -> None:
        """Hand it to the file; raises UserError where that fails."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was written, under its own name; raises UserError where that fails."""

    @abstractmethod
    def keep(self) -> Kept | None:
        """End early, unless ended: what stays under a partial name, None without a frame."""

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.keep()
