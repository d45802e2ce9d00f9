"""When each camera exposes and how it stamps its frames.

The visible camera exposes frame n at n / fps and is the reference clock. The infrared camera's
oscillator is fast by ``skew``: it exposes at n / fps / (1 + skew) + jitter and its clock then
reads (1 + skew) * time + offset. During a flat-field correction (FFC) its shutter is closed and it
repeats the last picture under new stamps.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mgdn_edge.runtime.synthetic.rig_options import RigOptions

NS = 1_000_000_000
FFC_SECONDS = Fraction(2, 5)  # uncooled cores close their shutter for 0.3 to 0.5 s
FIRST_FFC = Fraction(1, 2)  # of the period: a short clip sees one too
# Salts keep the streams of random numbers apart.
JITTER, INFRARED_LOSS, VISIBLE_LOSS, GAIN = 1, 2, 3, 4


def random_stream(options: RigOptions, salt: int, number: int = 0) -> np.random.Generator:
    """The generator of one purpose (``salt``) and frame: frames may be drawn in any order."""
    return np.random.default_rng([options.seed, salt, number])


class Clocks:
    """Times of both cameras' frames; ``number`` counts triggers from 0."""

    def __init__(self, options: RigOptions) -> None:
        self._options = options
        self.rate_ratio = 1 + options.skew * 1e-6

    def visible_pts_ns(self, number: int) -> int:
        """Stamp and true time of the visible frame: they are one."""
        scaled = 2 * NS * number / self._options.fps + 1
        return int(scaled) // 2

    def infrared_time_ns(self, number: int) -> int:
        """True time of exposure; for a frozen frame, of the picture it repeats."""
        return self._exposure_ns(self.shown(number))

    def infrared_pts_ns(self, number: int) -> int:
        """Stamp on the infrared camera's own clock."""
        reading = self._exposure_ns(number) * self.rate_ratio
        return round(reading + self._options.offset * 1e6)

    def shown(self, number: int) -> int:
        """Number of the picture that frame ``number`` shows: an earlier one during an FFC."""
        if not self._options.ffc:
            return number
        period = Fraction(self._options.ffc).limit_denominator(1000)
        since = (number / self._options.fps + FIRST_FFC * period) % period
        frames_since = int(since * self._options.fps)
        inside = since < min(FFC_SECONDS, period / 2) and number > frames_since
        return number - frames_since - 1 if inside else number

    def visible_lost(self, number: int) -> bool:
        """True where the visible camera delivers no frame."""
        return self._lost(VISIBLE_LOSS, self._options.visible_loss, number)

    def infrared_lost(self, number: int) -> bool:
        """True where the infrared camera delivers no frame."""
        return self._lost(INFRARED_LOSS, self._options.loss, number)

    def gain(self, number: int) -> tuple[float, float]:
        """(gain, offset in kelvin) of the infrared picture: jumps between bounds, or (1, 0)."""
        period = self._options.gain_jump
        step = int(number / float(self._options.fps) / period) if period else 0
        if not step:
            return 1.0, 0.0
        draw = random_stream(self._options, GAIN, step).uniform(-1, 1, 2)
        return float(1 + 0.25 * draw[0]), float(3 * draw[1])

    def _exposure_ns(self, number: int) -> int:
        nominal = self.visible_pts_ns(number)
        if not self._options.skew and not self._options.jitter:
            return nominal  # to the nanosecond, whatever the length
        # Stamps must advance: never more than 0.45 of a frame either way.
        limit = 0.45e3 / float(self._options.fps)
        draw = random_stream(self._options, JITTER, number).standard_normal()
        late = float(np.clip(draw * self._options.jitter, -limit, limit))
        return round(nominal / self.rate_ratio + late * 1e6)

    def _lost(self, salt: int, share: float, number: int) -> bool:
        # The first frame always arrives: a source without frames is another fault.
        if not share or number == 0:
            return False
        return bool(random_stream(self._options, salt, number).random() < share)
