"""TimedOptions: how frames find each other by their time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.pairing.clock_fit import ClockFit, checked, read_clock

PairPolicy = Literal["nearest", "hold", "drop"]


@dataclass(frozen=True)
class TimedOptions:
    """How frames find each other. ``wait_ms`` is the jitter buffer of live cameras.

    ``policy``: "nearest" in time, however far; "hold" the last infrared frame before; "drop" the
    nearest, and visible frames without one within half a frame interval are left out.
    """

    clock: ClockFit = ClockFit()  # noqa: RUF009 - frozen
    policy: PairPolicy = "drop"
    wait_ms: float = 60.0


def timed_options(
    offset_ms: float | None,
    skew_ppm: float | None,
    clock: Path | None,
    policy: PairPolicy | None,
) -> TimedOptions | None:
    """Options as typed -> TimedOptions, None where none asks for pairing by time."""
    given = (offset_ms, skew_ppm, clock, policy)
    if all(value is None for value in given):
        return None
    if clock is not None and (offset_ms is not None or skew_ppm is not None):
        raise UserError("--clock has the offset and skew already; leave out --offset, --skew-ppm")
    fit = (
        read_clock(clock)
        if clock is not None
        else checked(ClockFit(offset_ms=offset_ms or 0.0, skew_ppm=skew_ppm or 0.0))
    )
    return TimedOptions(fit, policy or TimedOptions.policy)
