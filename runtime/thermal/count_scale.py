"""CountScale: sensor counts to temperature, for cameras whose counts are linear in it."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.errors import UserError

CELSIUS_AT_ZERO_KELVIN = -273.15


class CountScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """kelvin = kelvin_per_count * count + kelvin_at_zero.

    FLIR's TLinear is 0.04 or 0.4 kelvin a count, a radiometric Lepton 0.01, both from 0.
    """

    kelvin_per_count: float
    kelvin_at_zero: float = 0.0

    def celsius(self, count: float) -> float:
        """Sensor count -> degrees Celsius of a black body."""
        return self.kelvin_per_count * count + self.kelvin_at_zero + CELSIUS_AT_ZERO_KELVIN

    def count(self, celsius: float) -> float:
        """Degrees Celsius -> sensor count."""
        return (celsius - CELSIUS_AT_ZERO_KELVIN - self.kelvin_at_zero) / self.kelvin_per_count


def parse_scale(text: str | None) -> CountScale | None:
    """KELVIN_PER_COUNT[:KELVIN_AT_ZERO] -> CountScale; raises UserError for anything else."""
    if text is None:
        return None
    try:
        per_count, zero = (
            float(part) for part in (text if ":" in text else f"{text}:0").split(":")
        )
    except ValueError:
        per_count, zero = 0.0, 0.0
    if not 0 < per_count < 1e3 or not abs(zero) < 1e6:
        raise UserError(
            f"--infrared-scale {text} is not KELVIN_PER_COUNT or KELVIN_PER_COUNT:KELVIN_AT_ZERO; "
            "such as 0.04 for FLIR TLinear, 0.01 for a Lepton"
        )
    return CountScale(per_count, zero)


def parse_span(text: str | None, scale: CountScale | None = None) -> tuple[float, float] | None:
    """LOW:HIGH in counts, or LOWC:HIGHC in Celsius with a scale -> (low, high) in counts.

    Raises UserError for anything else.
    """
    if text is None:
        return None
    celsius = text.upper().endswith("C")
    try:
        low, high = (float(part.rstrip("Cc") if celsius else part) for part in text.split(":"))
    except ValueError:
        raise UserError(
            f"--infrared-span {text} is not LOW:HIGH; two numbers, such as 7200:9100, or 10C:40C"
        ) from None
    if not celsius:
        return low, high
    if scale is None:
        raise UserError(
            f"--infrared-span {text} is in degrees, and how many a count is is not known",
            ways=(
                "give counts, such as 7200:9100",
                "or --infrared-scale KELVIN_PER_COUNT, such as 0.04",
            ),
        )
    return scale.count(low), scale.count(high)
