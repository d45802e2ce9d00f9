"""DriftFigures: what the checks of a stream's alignment found, and the sentence about it."""

from __future__ import annotations

import msgspec

TOLERABLE = 3.0  # working pixels: more is seen as a double contour


class DriftFigures(msgspec.Struct, frozen=True):
    """What the checks of a stream found.

    ``misalignment_px`` is how far the alignment in use is from the median of the last three
    believed checks, in working pixels, None without any; ``corrections`` were applied,
    ``rejected`` held back as jumps.
    """

    checks: int
    believed: int
    misalignment_px: float | None
    corrections: int
    rejected: int


def drift_sentence(figures: DriftFigures) -> str:
    """What a user should know of them."""
    if figures.misalignment_px is None:
        return f"alignment: not judged, too little in view to compare (checks: {figures.checks})"
    parts = [f"alignment: {figures.misalignment_px:.1f} px off (checks: {figures.believed})"]
    if figures.corrections:
        parts.append(f"corrected (times: {figures.corrections})")
    if figures.rejected:
        parts.append(f"jumps not followed (times: {figures.rejected})")
    if figures.misalignment_px > TOLERABLE and not figures.corrections:
        parts.append("measure the rig again (mgdn align) or pass --realign")
    return ", ".join(parts)
