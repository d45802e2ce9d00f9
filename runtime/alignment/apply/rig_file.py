"""The rig file: how infrared lies on the visible picture, as TOML a person can read and edit.

Pixels are counted from 0 at the centre of the first one. The file has widths before heights. A
homography takes infrared pixels to visible pixels, both free of lens distortion where
the rig states any. See ``runtime/alignment/apply/rig_text.py`` for the file as written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Size

SCHEMA = "mgdn.rig/1"
LARGEST_SIDE = 16384

Matrix = npt.NDArray[np.float64]
AlignmentMethod = Literal["points", "target", "automatic"]
Area = Literal["fill", "crop"]
Rows = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


class CameraModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Pixels, the file's ``size``; optionally the pinhole matrix and lens distortion.

    ``distortion`` is k1, k2, p1, p2, k3 of OpenCV's model and needs ``matrix``.
    """

    width_height: tuple[int, int] = msgspec.field(name="size")
    matrix: Rows | None = None
    distortion: tuple[float, float, float, float, float] | None = None

    @property
    def size(self) -> Size:
        """(height, width) of the camera's picture."""
        return self.width_height[::-1]


class PlaneHomography(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Infrared -> visible pixels for things ``distance_m`` metres away; None: any distance."""

    homography: Rows
    distance_m: float | None = None


class Pose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Infrared camera coordinates -> visible: X_v = rotation @ X_i + translation (metres)."""

    rotation: Rows
    translation_m: tuple[float, float, float]


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How good the alignment is believed to be.

    ``error_px`` is the expected misalignment in visible pixels, ``error_from`` what it was
    measured on, ``evidence`` the number of points, corners or image parts that agree,
    ``coverage`` the share of the picture that infrared covers.
    """

    error_px: float
    error_from: str
    evidence: int
    coverage: float
    confidence: float | None = None


class CameraRig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Two cameras and the picture made of them.

    ``view`` is the part of the visible picture shown, (left, top, width, height) in whole
    visible pixels; ``working_width_height`` what it becomes, the file's ``working_size``. ``area``
    says what the view was chosen for: "fill" shows all and leaves visible alone where infrared does
    not reach, "crop" shows only where both see.
    """

    schema: str
    method: AlignmentMethod
    area: Area
    working_width_height: tuple[int, int] = msgspec.field(name="working_size")
    view: tuple[int, int, int, int]
    visible: CameraModel
    infrared: CameraModel
    plane: tuple[PlaneHomography, ...]
    quality: Quality
    clock_offset_ms: float = 0.0
    pose: Pose | None = None

    @property
    def working_size(self) -> Size:
        """(height, width) of the fused picture."""
        return self.working_width_height[::-1]

    def homography(self, distance_m: float | None = None) -> Matrix:
        """(3, 3) float64 infrared -> visible pixels for things ``distance_m`` metres away.

        Exact from the pose where the rig has one, else of the plane nearest in 1/distance
        (parallax goes with it); without a distance the first plane. Raises UserError for a
        distance that is not positive.
        """
        if distance_m is None:
            return np.array(self.plane[0].homography)
        if not distance_m > 0:
            raise UserError(f"--distance {distance_m:g} is not a distance; metres above 0")
        if self.pose is not None and self.visible.matrix and self.infrared.matrix:
            return plane_homography(
                self.visible.matrix, self.infrared.matrix, self.pose, distance_m
            )

        def parallax(plane: PlaneHomography) -> float:
            far = plane.distance_m is None
            return abs((0.0 if far else 1 / (plane.distance_m or 1.0)) - 1 / distance_m)

        return np.array(min(self.plane, key=parallax).homography)


def plane_homography(
    visible_matrix: Rows, infrared_matrix: Rows, pose: Pose, distance_m: float
) -> Matrix:
    """Infrared -> visible pixels of the plane ``distance_m`` ahead of the infrared camera.

    H = K_v (R + t n' / d) K_i^-1 with n the optical axis (Hartley and Zisserman, 13.1).
    """
    turn, shift = np.array(pose.rotation), np.array(pose.translation_m)
    moved = turn + np.outer(shift, [0, 0, 1]) / distance_m
    homography = np.array(visible_matrix) @ moved @ np.linalg.inv(np.array(infrared_matrix))
    scaled: Matrix = homography / homography[2, 2]
    return scaled


def read_rig(path: Path) -> CameraRig:
    """TOML file -> CameraRig; raises UserError naming the field that is wrong."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        rig = msgspec.convert(values, CameraRig, strict=False)
    except OSError as error:
        raise UserError(f"cannot read the rig {path} ({error.strerror}); check --rig") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML ({error}); {REPAIR}") from None
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not a rig file: {error}; {REPAIR}") from None
    wrong = find_fault(rig)
    if wrong is not None:
        raise UserError(f"{path}: {wrong}; {REPAIR}")
    return rig


REPAIR = "write it again: mgdn align VISIBLE INFRARED RIG.toml"


def find_fault(rig: CameraRig) -> str | None:
    """What makes a rig unusable, or None."""
    if rig.schema != SCHEMA:
        return f"schema is {rig.schema!r}, this version reads {SCHEMA!r}"
    for name, width_height in (
        ("working_size", rig.working_width_height),
        ("visible.size", rig.visible.width_height),
        ("infrared.size", rig.infrared.width_height),
    ):
        if not all(1 <= side <= LARGEST_SIDE for side in width_height):
            return f"{name} {list(width_height)} is not the size of a picture"
    left, top, width, height = rig.view
    within = left + width <= rig.visible.size[1] and top + height <= rig.visible.size[0]
    if min(left, top) < 0 or min(width, height) < 1 or not within:
        return f"view {list(rig.view)} is not inside the visible picture"
    if not rig.plane:
        return "no [[plane]] with a homography"
    for camera, name in ((rig.visible, "visible"), (rig.infrared, "infrared")):
        if camera.distortion is not None and camera.matrix is None:
            return f"{name}.distortion needs {name}.matrix"
        numbers = [*np.ravel(camera.matrix or 0), *(camera.distortion or ())]
        if not np.isfinite(numbers).all():
            return f"{name}.matrix or distortion is not finite"
    for plane in rig.plane:
        if plane.distance_m is not None and not 0 < plane.distance_m < np.inf:
            return f"distance_m {plane.distance_m} is not above 0"
        if not is_usable(np.array(plane.homography), rig.infrared.size):
            return f"homography {plane.homography} turns the infrared picture inside out"
    return None


def is_usable(homography: Matrix, size: Size) -> bool:
    """Whether it maps the whole picture of ``size`` to the near side."""
    if homography.shape != (3, 3) or not np.isfinite(homography).all():
        return False
    height, width = size
    corners = np.array([[-0.5, -0.5, 1], [width, -0.5, 1], [-0.5, height, 1], [width, height, 1]])
    depth = corners @ homography[2]
    positive = bool((depth > 1e-6).all()) or bool((depth < -1e-6).all())
    return positive and abs(float(np.linalg.det(homography / np.abs(homography).max()))) > 1e-15
