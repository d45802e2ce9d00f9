"""ClockFit: how the infrared camera's clock reads beside the visible one's; a JSON file of it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.whole_file import Output

SCHEMA = "mgdn.clock/1"
MS = 1e6  # nanoseconds
MOST_SKEW_PPM = 10_000.0  # crystals stay within 100; 1 % is another frame rate


class ClockFit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """infrared stamp = t + offset + skew * (t - at), t the visible clock's stamp.

    ``offset_ms`` holds at visible stamp ``at_s`` seconds; ``skew_ppm`` is how much faster the
    infrared clock runs, in parts per million. ``error_ms`` is one standard deviation of the
    offset, None where it was given by hand.
    """

    offset_ms: float = 0.0
    skew_ppm: float = 0.0
    at_s: float = 0.0
    error_ms: float | None = None
    schema: str = SCHEMA

    def on_visible_clock(self, infrared_ns: int) -> int:
        """Infrared stamp in nanoseconds -> the same moment on the visible clock."""
        at_ns = round(self.at_s * 1e9)
        since = infrared_ns - at_ns - self.offset_ms * MS
        # Only the small part in floating point: stamps may be days long.
        correction = since * (self.skew_ppm * 1e-6) / (1 + self.skew_ppm * 1e-6)
        return infrared_ns - round(self.offset_ms * MS + correction)


def write_clock(output: Output, fit: ClockFit) -> None:
    """Write ``fit`` whole; raises UserError where that cannot be."""
    output.write(msgspec.json.format(msgspec.json.encode(fit)) + b"\n")


def read_clock(path: Path) -> ClockFit:
    """JSON file of ``mgdn sync`` -> ClockFit; raises UserError naming what is wrong."""
    again = f"write it again: mgdn sync VISIBLE INFRARED --output {path}"
    try:
        fit = msgspec.json.decode(path.read_bytes(), type=ClockFit)
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); check --clock") from None
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not a clock file: {error}; {again}") from None
    if fit.schema != SCHEMA:
        raise UserError(f"{path} has schema {fit.schema!r}, wanted {SCHEMA!r}; {again}")
    return checked(fit)


def checked(fit: ClockFit) -> ClockFit:
    """``fit`` itself; raises UserError for a skew no two cameras have."""
    if not abs(fit.skew_ppm) <= MOST_SKEW_PPM:  # NaN is neither
        raise UserError(
            f"--skew-ppm {fit.skew_ppm:g} is more than two clocks differ by; give parts per "
            f"million within {MOST_SKEW_PPM:g}, or measure it: mgdn sync VISIBLE INFRARED"
        )
    if not abs(fit.offset_ms) < 1e12:
        raise UserError(f"--offset {fit.offset_ms:g} is not an offset; give milliseconds")
    return fit
