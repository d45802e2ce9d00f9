"""MeasuredGeometry: what was measured of two cameras, before a view is chosen."""

from __future__ import annotations

import msgspec

from mgdn_edge.runtime.alignment.apply.rig_file import (
    AlignmentMethod,
    CameraModel,
    Matrix,
    Pose,
    Rows,
)


class MeasuredGeometry(msgspec.Struct, frozen=True):
    """What a way of measuring found, before a view is chosen.

    ``error_px`` in visible pixels was measured on ``error_from``; ``notes`` are sentences for
    the user. Lens models and pose are there where a target gave them.
    """

    method: AlignmentMethod
    homography: Rows
    error_px: float
    error_from: str
    evidence: int
    confidence: float | None = None
    notes: list[str] = []
    visible: CameraModel | None = None
    infrared: CameraModel | None = None
    pose: Pose | None = None


def rows_of(matrix: Matrix) -> Rows:
    """(3, 3) float64 -> rows of plain floats."""
    first, second, third = ((float(a), float(b), float(c)) for a, b, c in matrix)
    return first, second, third


def homography_rows(homography: Matrix) -> Rows:
    """(3, 3) float64 -> rows of plain floats, the last one 1 where it can be."""
    last = homography[2, 2]
    return rows_of(homography / last if abs(last) > 1e-12 else homography)
