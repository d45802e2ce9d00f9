"""RawFrame -> VisibleFrame or InfraredFrame: 8 bits, rounded once; colour kept or refused."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mgdn_edge.runtime.capture.frames.raw_frame import RawFrame, Samples
from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.colour import NEUTRAL
from mgdn_edge.runtime.picture.frame import InfraredFrame, Plane, VisibleFrame
from mgdn_edge.runtime.thermal.dead_pixels import DeadPixels
from mgdn_edge.runtime.thermal.gain_jumps import GainJumps
from mgdn_edge.runtime.thermal.tone import AgcKind, ToneCurve

# Grey infrared kept in a colour format: codec noise moved chroma by at most 1 in four H.264 and
# MPEG-4 clips and by more than 16 in 0.005 % of the pixels of re-encoded images; false-colour
# palettes move nearly all of it by more.
CHROMA_NOISE = 16
COLOURED_SHARE = 0.01
SPAN_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class InfraredOptions:
    """How infrared becomes one 8-bit plane.

    ``luma`` accepts a false-colour picture by its luma. ``span`` (low, high) in sensor counts
    is mapped linearly to 0..255 and clipped; ``agc`` lets the scene choose instead. ``black_hot``
    says that the camera shows heat dark: levels are turned round. ``repair`` fills dead pixels,
    ``steady`` takes back the jumps of an 8-bit camera's own gain.
    """

    luma: bool = False
    span: tuple[float, float] | None = None
    agc: AgcKind | None = None
    black_hot: bool = False
    repair: bool = False
    steady: bool = False

    def __post_init__(self) -> None:
        if self.span is not None and not self.span[0] < self.span[1]:
            raise UserError(
                f"infrared span {self.span[0]:g}:{self.span[1]:g} is empty; "
                "LOW must be below HIGH: --infrared-span LOW:HIGH"
            )
        if self.span is not None and self.agc is not None:
            raise UserError("--infrared-span and --infrared-agc both choose levels; give one")


def visible_frame(raw: RawFrame) -> VisibleFrame:
    """RawFrame -> VisibleFrame of the same size; more than 8 bits are rounded once."""
    chroma = raw.chroma
    return VisibleFrame(
        y=_reduced(raw.y, raw),
        chroma=None if chroma is None else (_reduced(chroma[0], raw), _reduced(chroma[1], raw)),
        subsampling=raw.subsampling,
        tags=raw.tags,
        pts_ns=raw.pts_ns,
        seq=raw.seq,
        stem=raw.stem,
    )


class InfraredLevels:
    """RawFrames of one camera, in order -> InfraredFrames with an (H, W) uint8 plane.

    Dead pixels are filled first, then counts become levels (a span, an AGC) or 8-bit levels lose
    their jumps, then black-hot is turned. ``counts`` are the sensor's own, unrepaired.
    """

    def __init__(self, options: InfraredOptions) -> None:
        self._options = options
        self._dead = DeadPixels() if options.repair else None
        self._tone = ToneCurve(options.agc) if options.agc is not None else None
        self._jumps = GainJumps() if options.steady else None

    def convert(self, raw: RawFrame) -> InfraredFrame:
        """One frame.

        Raises UserError for a coloured picture without ``luma``, and for sensor counts without
        ``span`` or ``agc``.
        """
        options = self._options
        if raw.chroma is not None and not options.luma and _coloured(raw.chroma, raw):
            raise UserError(
                f"infrared {raw.origin} is coloured; grey is needed: give the camera's grey "
                "recording",
                ways=("or pass --infrared-luma to take a false-colour picture's luma",),
            )
        samples = raw.y if self._dead is None else self._dead.repair(raw.y)
        if options.span is not None:
            plane = _mapped(samples, *options.span)
        elif raw.counts and self._tone is not None:
            plane = self._tone.apply(samples, raw.pts_ns)
        elif raw.counts:
            low, high = np.percentile(raw.y, SPAN_PERCENTILES)
            raise UserError(
                f"infrared {raw.origin} holds {raw.bits}-bit counts; which of them become 0 and "
                "255 must be said",
                ways=(
                    "--infrared-agc percentile follows the scene",
                    f"--infrared-span {int(low)}:{max(int(high), int(low) + 1)} stays",
                    "or give an 8-bit recording",
                ),
            )
        else:
            plane = _reduced(samples, raw)
        if self._jumps is not None and not raw.counts:
            plane = self._jumps.compensate(plane, raw.pts_ns)
        if options.black_hot:
            plane = np.asarray(255 - plane, np.uint8)
        counts = np.asarray(raw.y, np.uint16) if raw.counts else None
        return InfraredFrame(plane, raw.pts_ns, raw.seq, raw.stem, counts)


def _reduced(samples: Samples, raw: RawFrame) -> Plane:
    if raw.bits == 8:
        return samples.view(np.uint8)
    return np.asarray(cv2.convertScaleAbs(samples, alpha=raw.scale), np.uint8)


def _mapped(counts: Samples, low: float, high: float) -> Plane:
    """(H, W) uint8 or uint16 counts -> (H, W) uint8: low..high to 0..255, clipped, rounded."""
    every_count = np.arange(np.iinfo(counts.dtype).max + 1)
    levels = np.rint((every_count - low) * (255.0 / (high - low)))
    table = np.clip(levels, 0, 255).astype(np.uint8)
    plane: Plane = table[counts]
    return plane


def _coloured(chroma: tuple[Samples, Samples], raw: RawFrame) -> bool:
    unit = 1 << (raw.bits - 8)
    low, high = (NEUTRAL - CHROMA_NOISE) * unit, (NEUTRAL + CHROMA_NOISE) * unit
    limit = COLOURED_SHARE * chroma[0].size
    for plane in chroma:
        grey = cv2.countNonZero(cv2.inRange(plane, np.array(low), np.array(high)))
        if plane.size - grey > limit:
            return True
    return False
