"""RawFrame: what a file holds, before it is read as visible or as infrared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.picture.frame import ColourTags, SourceInfo

Band = Literal["visible", "infrared"]
Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """(H, W) uint8 or uint16 luma + two chroma planes of the same type, or None for grey.

    Samples use the low ``bits`` bits. ``counts`` marks luma that is a sensor's numbers rather
    than video levels: grey above 8 bits. ``origin`` names the frame in error messages.
    """

    y: Samples
    chroma: tuple[Samples, Samples] | None
    subsampling: tuple[int, int]
    bits: int
    tags: ColourTags
    pts_ns: int
    seq: int
    stem: str | None
    origin: str

    @property
    def counts(self) -> bool:
        """True where 8-bit levels are a matter of choice: grey above 8 bits."""
        return self.chroma is None and self.bits > 8

    @property
    def scale(self) -> float:
        """Factor from samples to 8-bit levels.

        Video codes of b bits are 8-bit codes times 2**(b-8) (BT.709 table 3); 16-bit
        grey and image files span the whole range, so 65535 is 255.
        """
        return 255 / 65535 if self.bits == 16 else 2.0 ** (8 - self.bits)


class Reader(ABC):
    """Frames of one file or folder. ``frames`` may be called again: it starts anew.

    ``reconnects`` counts how often a network camera was connected again, None for all else.
    """

    info: SourceInfo
    reconnects: int | None = None

    @abstractmethod
    def frames(self) -> Generator[RawFrame, None, None]:
        """Decode from the start; closing the generator closes the file."""

    @property
    def paths(self) -> list[Path]:
        """Every file it reads; none for cameras and drawn scenes."""
        return []

    def interrupt(self) -> None:  # noqa: B027 - files have nothing to do
        """Make ``frames`` of a live source end soon, from any thread; files end by themselves."""

    def close(self) -> None:  # noqa: B027
        """Give up the camera or connection that a live source holds."""

    @property
    def stems(self) -> list[str] | None:
        """File stems in order for a folder of images, else None."""
        return None

    def only(self, stems: list[str]) -> Reader:
        """A reader of just these stems, in this order; folders only."""
        raise TypeError(f"{self.info.uri} has no stems to choose from")
