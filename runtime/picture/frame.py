"""Frames as video carries them: a luma plane, its chroma untouched, and a time stamp."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.secrets.redaction import redact

Size = tuple[int, int]  # (height, width) in pixels, everywhere
Plane = npt.NDArray[np.uint8]
InfraredPlane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class ColourTags:
    """How luma and chroma relate to light, as the source states it (FFmpeg enumerations).

    ``matrix`` is an ``AVColorSpace`` value (1 BT.709, 5 and 6 BT.601, 2 unspecified),
    ``full_range`` true for 0..255 luma, None where the source does not say. ``primaries`` and
    ``transfer`` only pass through.
    """

    matrix: int = 2
    full_range: bool | None = None
    primaries: int = 2
    transfer: int = 2


@dataclass(frozen=True, slots=True)
class VisibleFrame:
    """(H, W) uint8 luma + (u, v) uint8 chroma planes as they came.

    ``chroma`` is None for a grey source, else two equal planes whose size follows
    ``subsampling``: (2, 2) for 4:2:0, (2, 1) for 4:2:2, (1, 1) for 4:4:4 as
    (horizontal, vertical) factors; odd sizes round up. ``pts_ns`` counts nanoseconds of the
    source's clock, ``seq`` frames from 0; ``stem`` is the file stem of an image source.
    """

    y: Plane
    chroma: tuple[Plane, Plane] | None
    subsampling: tuple[int, int]
    tags: ColourTags
    pts_ns: int
    seq: int
    stem: str | None = None


@dataclass(frozen=True, slots=True)
class InfraredFrame:
    """(H, W) uint8 or uint16 infrared plane; white is hot unless the rig says otherwise.

    ``counts`` is what the sensor delivered, (H, W) uint16, where ``plane`` was made of it.
    """

    plane: InfraredPlane
    pts_ns: int
    seq: int
    stem: str | None = None
    counts: npt.NDArray[np.uint16] | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source promises before its first frame.

    ``uri`` is for people to read, without passwords. ``size`` is None where each frame has its own
    (image folders); ``frames`` is None where the length is unknown; ``rate`` in frames per second
    and ``time_base`` in seconds per tick are None for still images.
    """

    uri: str
    size: Size | None
    frames: int | None
    rate: Fraction | None
    time_base: Fraction | None
    live: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", redact(self.uri))
