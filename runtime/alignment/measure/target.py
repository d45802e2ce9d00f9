"""Alignment by a target both cameras see: a checkerboard of foil and paint, or heated circles.

The board is found in both pictures of each frame, whichever of its squares is bright. Without a
square's size its corners are point pairs of one plane; with it, and enough views, both lenses
and the pose between the cameras are calibrated (Zhang 2000), so that any distance can be asked
for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.rig_file import (
    CameraModel,
    Matrix,
    Pose,
    is_usable,
    plane_homography,
)
from mgdn_edge.runtime.alignment.measure.alignment_pairs import AlignmentPair
from mgdn_edge.runtime.alignment.measure.measured_geometry import (
    MeasuredGeometry,
    homography_rows,
    rows_of,
)
from mgdn_edge.runtime.alignment.measure.point_pairs import Points, fit_points, transfer_errors
from mgdn_edge.runtime.errors import UserError

FEWEST_VIEWS = 6  # for lenses and pose; fewer leave distortion and focal length undecided
SMALL = 400  # pixels a side: pictures below are enlarged before corners are looked for
WANTED = "give KIND:COLUMNSxROWS[:MILLIMETRES], such as board:8x5:40 or circles:7x5"
# Focal length or pose off by more than their corners say is a calibration gone wrong.
WORST_REPROJECTION = 3.0  # pixels

MOST_CORNERS = 300  # in one fit of a homography, which tries each without the others

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AlignmentTarget:
    """Inner corners (board) or circles, columns before rows, ``pitch_m`` metres apart if known."""

    kind: Literal["board", "circles"]
    columns: int
    rows: int
    pitch_m: float | None

    @property
    def places(self) -> Float32s:
        """(N, 3) float32 metres on the target, row by row."""
        rows, columns = np.mgrid[: self.rows, : self.columns]
        flat = np.stack([columns.ravel(), rows.ravel(), np.zeros(rows.size)], 1)
        return (flat * (self.pitch_m or 1.0)).astype(np.float32)


def parse_target(text: str) -> AlignmentTarget:
    """KIND:COLUMNSxROWS[:MILLIMETRES] -> AlignmentTarget; raises UserError for anything else."""
    found = re.fullmatch(r"(board|circles):(\d{1,2})x(\d{1,2})(?::(\d+(?:\.\d+)?))?", text)
    if found is None or min(int(found[2]), int(found[3])) < 3 or float(found[4] or 1) <= 0:
        raise UserError(f"--target {text} is not a target with 3 or more points a side; {WANTED}")
    kind: Literal["board", "circles"] = "board" if found[1] == "board" else "circles"
    pitch = float(found[4]) / 1000 if found[4] else None
    return AlignmentTarget(kind, int(found[2]), int(found[3]), pitch)


def find_target(image: npt.NDArray[np.uint8], target: AlignmentTarget) -> Points | None:
    """(H, W) uint8 -> (N, 2) pixels of the target's corners or centres, or None."""
    factor = max(1, -(-SMALL // max(min(image.shape), 1))) if min(image.shape) < SMALL else 1
    factor = min(factor, 8)
    size = (image.shape[1] * factor, image.shape[0] * factor)
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) if factor > 1 else image
    stretched = cv2.normalize(large, np.empty_like(large), 0, 255, cv2.NORM_MINMAX)
    for picture in (stretched, 255 - stretched):
        points = _find(np.asarray(picture, np.uint8), target)
        if points is not None:
            return np.asarray((points + 0.5) / factor - 0.5)
    return None


def _find(picture: npt.NDArray[np.uint8], target: AlignmentTarget) -> Points | None:
    shape = (target.columns, target.rows)
    if target.kind == "board":
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
        found, corners = cv2.findChessboardCornersSB(picture, shape, flags=flags)
    else:
        found, corners = cv2.findCirclesGrid(picture, shape, flags=cv2.CALIB_CB_SYMMETRIC_GRID)
    if not found or corners is None or len(corners) != target.columns * target.rows:
        return None
    return np.asarray(corners, np.float64).reshape(-1, 2)


def measure_target(pairs: list[AlignmentPair], target: AlignmentTarget) -> MeasuredGeometry:
    """Frames of a target held at several places -> MeasuredGeometry; raises UserError."""
    views = []
    for pair in pairs:
        visible = find_target(pair.visible.y, target)
        infrared = find_target(pair.infrared, target) if visible is not None else None
        if visible is not None and infrared is not None:
            views.append((visible, same_order(visible, infrared, target)))
    if not views:
        raise UserError(
            f"not aligned: no frame of {len(pairs)} shows the whole {target.kind} of "
            f"{target.columns}x{target.rows} to both cameras; heat it, hold it larger and still, "
            "count inner corners, or give points: --points FILE"
        )
    visible = np.concatenate([points for points, _ in views])
    infrared = np.concatenate([points for _, points in views])
    some = slice(None, None, -(-len(visible) // MOST_CORNERS))
    fit = fit_points(visible[some], infrared[some])
    notes = [f"the target was found by both cameras in {len(views)} of {len(pairs)} frames"]
    if target.pitch_m is None or len(views) < FEWEST_VIEWS:
        if target.pitch_m is not None:
            notes.append(
                f"lenses and pose need {FEWEST_VIEWS} views of it, tilted and all over the "
                "picture: this is the homography of its distance alone"
            )
        errors = transfer_errors(fit.homography, visible, infrared)
        return MeasuredGeometry(
            method="target",
            homography=homography_rows(fit.homography),
            error_px=float(np.mean(errors)),
            error_from=f"{len(visible)} corners in {len(views)} frames",
            evidence=len(visible),
            notes=notes,
        )
    return _calibrate(pairs[0], views, target, notes)


def same_order(visible: Points, infrared: Points, target: AlignmentTarget) -> Points:
    """The infrared points in the visible ones' order: a board turned by 180 degrees looks alike.

    Cameras of one rig are turned against each other by less than a quarter.
    """
    along = visible[target.columns - 1] - visible[0]
    if along @ (infrared[target.columns - 1] - infrared[0]) < 0:
        return np.asarray(infrared[::-1].copy())
    return infrared


def _calibrate(
    pair: AlignmentPair,
    views: list[tuple[Points, Points]],
    target: AlignmentTarget,
    notes: list[str],
) -> MeasuredGeometry:
    places = [target.places for _ in views]
    shapes = (pair.visible.y.shape, pair.infrared.shape)
    models: list[tuple[Matrix, Matrix]] = []
    errors = []
    for camera, shape in enumerate(shapes):
        corners = [view[camera].astype(np.float32).reshape(-1, 1, 2) for view in views]
        # Higher terms cannot be told from noise by a handful of boards.
        flags = cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST
        error, matrix, distortion, _, _ = cv2.calibrateCamera(
            places, corners, shape[::-1], np.eye(3), np.zeros(5), flags=flags
        )
        lens = np.asarray(distortion, np.float64).ravel()[:5]
        models.append((np.asarray(matrix, np.float64), lens))
        errors.append(float(error))
    visible_corners, infrared_corners = (
        [view[camera].astype(np.float32).reshape(-1, 1, 2) for view in views] for camera in (0, 1)
    )
    # From infrared to visible: X_v = R X_i + T.
    found = cv2.stereoCalibrate(
        places,
        infrared_corners,
        visible_corners,
        models[1][0],
        models[1][1],
        models[0][0],
        models[0][1],
        shapes[1][::-1],
        flags=cv2.CALIB_FIX_INTRINSIC,
    )
    error, turn, shift = float(found[0]), np.asarray(found[5]), np.asarray(found[6]).ravel()
    pose = Pose(
        rows_of(np.asarray(turn, np.float64)), (float(shift[0]), float(shift[1]), float(shift[2]))
    )
    distance = _mean_distance(infrared_corners, places, models[1])
    visible, infrared = (
        CameraModel((int(width), int(height)), rows_of(matrix), _coefficients(lens))
        for (height, width), (matrix, lens) in zip(shapes, models, strict=True)
    )
    assert visible.matrix is not None and infrared.matrix is not None
    homography = plane_homography(visible.matrix, infrared.matrix, pose, distance)
    if error > WORST_REPROJECTION or not is_usable(homography, infrared.size):
        raise UserError(
            f"not aligned: the calibration explains the corners only to {error:.1f} px; hold the "
            "target still, tilt it, show it near the corners of the picture, and give more frames"
        )
    notes.append(
        f"lenses and pose calibrated to {errors[0]:.2f} and {errors[1]:.2f} px; the rig is set "
        f"for {distance:.2f} m, the target's mean distance: mgdn fuse --distance METRES changes it"
    )
    return MeasuredGeometry(
        method="target",
        homography=homography_rows(homography),
        error_px=error,
        error_from=f"{sum(len(view[0]) for view in views)} corners in {len(views)} frames",
        evidence=sum(len(view[0]) for view in views),
        notes=notes,
        visible=visible,
        infrared=infrared,
        pose=pose,
    )


def _coefficients(lens: Matrix) -> tuple[float, float, float, float, float]:
    k1, k2, p1, p2, k3 = (float(value) for value in lens)
    return k1, k2, p1, p2, k3


def _mean_distance(
    corners: list[Float32s], places: list[Float32s], model: tuple[Matrix, Matrix]
) -> float:
    """Mean distance in metres of the target from the infrared camera, along its axis."""
    distances = []
    for found, flat in zip(corners, places, strict=True):
        _, turn, shift = cv2.solvePnP(flat, found, *model)
        middle = cv2.Rodrigues(turn)[0] @ flat.mean(0) + shift.ravel()
        distances.append(float(middle[2]))
    return float(np.mean(distances))
