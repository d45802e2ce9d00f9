"""Point pairs -> homography: the simplest model that predicts points it has not seen.

Pairs come from a file or from clicks. Clicks err by a pixel or two and now and then by fifty, so
pairs that no common motion explains are left out and named.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.rig_file import Matrix
from mgdn_edge.runtime.errors import UserError

Points = npt.NDArray[np.float64]
Fit = Callable[[Points, Points], Matrix]

COLUMNS = ("x_vis", "y_vis", "x_ir", "y_ir")
OTHER_NAMES = {"vi_x": "x_vis", "vi_y": "y_vis", "ir_x": "x_ir", "ir_y": "y_ir"}
FEWEST = 4  # a homography's four; fewer leave nothing to measure the error on
# A click is good to a pixel or two in either picture; less than this is not a mistake.
TOLERANCE_PX = 4.0
# Of the points' extent: clicks farther off than this agree on nothing, however many they are.
LARGEST_SHARE = 0.04
MAD = 1.4826  # median absolute deviation -> standard deviation of a normal distribution
STRAIGHT = 0.03  # spread across over spread along, below which points are one line


@dataclass(frozen=True)
class PointFit:
    """A homography from points, and how well it predicts a pair left out of the fit.

    ``error_px`` is the mean over the pairs kept, in visible pixels, each predicted by the
    others; ``outliers`` the indices of pairs left out, ``model`` what was fitted.
    """

    homography: Matrix
    error_px: float
    used: int
    outliers: list[int]
    model: str


def read_points(path: Path) -> tuple[Points, Points]:
    """CSV or JSON file -> (N, 2) visible and (N, 2) infrared pixels.

    CSV: columns x_vis, y_vis, x_ir, y_ir, named or in this order. JSON: a list of objects with
    these names, or of lists in this order. Raises UserError saying what is wrong in which row.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read --points {path} ({error}); give a .csv or .json") from None
    if path.suffix.lower() == ".json":
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise UserError(f"--points {path} is not JSON ({error}); {WANTED}") from None
        if not isinstance(rows, list):
            raise UserError(f"--points {path} does not hold a list; {WANTED}")
    else:
        rows = _csv_rows(text)
    pairs = [_row(path, index, row) for index, row in enumerate(rows, 1)]
    values = np.array(pairs, np.float64).reshape(-1, 4)
    return values[:, :2], values[:, 2:]


WANTED = "four numbers a point are needed: x_vis,y_vis,x_ir,y_ir"


def _csv_rows(text: str) -> list[object]:
    lines = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if not lines:
        return []
    names = [OTHER_NAMES.get(cell.strip().lower(), cell.strip().lower()) for cell in lines[0]]
    if set(COLUMNS) <= set(names):
        return [dict(zip(names, row, strict=False)) for row in lines[1:]]
    return [*lines]


def _row(path: Path, index: int, row: object) -> list[float]:
    try:
        if isinstance(row, dict):
            cells = [row[name] for name in COLUMNS]
        elif isinstance(row, list) and len(row) == 4:
            cells = row
        else:
            raise ValueError("not four numbers")
        numbers = [float(cell) for cell in cells]
        if not np.isfinite(numbers).all():
            raise ValueError("not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"--points {path}, point {index}: {row!r} ({error}); {WANTED}") from None
    return numbers


def fit_points(visible: Points, infrared: Points) -> PointFit:
    """(N, 2) visible, (N, 2) infrared pixels -> PointFit.

    Raises UserError for fewer than four pairs, points on one line, or pairs of which no majority
    fits one motion.
    """
    count = len(visible)
    if count < FEWEST:
        raise UserError(
            f"{count} point pairs were given, at least {FEWEST} are needed, better 8 or more; "
            "add some near the corners and the middle"
        )
    for points, name in ((visible, "visible"), (infrared, "infrared")):
        if _is_straight(points):
            raise UserError(
                f"the {name} points lie on one line or spot; add points away from it, "
                "near the picture's corners"
            )
    most = LARGEST_SHARE * float(np.hypot(*np.ptp(visible, axis=0)))
    kept = _agreeing(visible, infrared, most)
    fit: Fit = fit_similarity
    name = "similarity"
    for _ in range(4):
        _check_majority(kept)
        fit, name = choose_model(visible[kept], infrared[kept])
        homography = fit(visible[kept], infrared[kept])
        errors = transfer_errors(homography, visible, infrared)
        limit = max(TOLERANCE_PX, min(5 * MAD * float(np.median(errors[kept])), most))
        now = errors <= limit
        if (now == kept).all():
            break
        kept = now
    _check_majority(kept)
    visible, infrared = visible[kept], infrared[kept]
    return PointFit(
        homography=fit(visible, infrared),
        error_px=float(np.mean(left_out_errors(fit, visible, infrared))),
        used=int(kept.sum()),
        outliers=[int(index) for index in np.flatnonzero(~kept)],
        model=name,
    )


def _check_majority(kept: npt.NDArray[np.bool_]) -> None:
    if kept.sum() < max(FEWEST, len(kept) / 2):
        raise UserError(
            f"only {kept.sum()} of {len(kept)} point pairs fit one motion; check that both "
            "pictures show the same moment and that each pair is the same thing in both"
        )


def _is_straight(points: Points) -> bool:
    spread = np.linalg.svd(points - points.mean(0), compute_uv=False)
    return bool(spread[1] <= STRAIGHT * spread[0]) or spread[0] < 1e-9


def _agreeing(visible: Points, infrared: Points, most: float) -> npt.NDArray[np.bool_]:
    """Pairs that the affine motion of least median error explains, generously."""
    matrix, _ = cv2.estimateAffine2D(
        np.ascontiguousarray(infrared),
        np.ascontiguousarray(visible),
        method=cv2.LMEDS,
        maxIters=5000,
    )
    if matrix is None:
        return np.ones(len(visible), np.bool_)
    errors = transfer_errors(np.vstack([matrix, [0, 0, 1]]), visible, infrared)
    # Perspective bends what an affine motion predicts: more is allowed than a click's error.
    limit = max(3 * TOLERANCE_PX, min(5 * MAD * float(np.median(errors)), 2 * most))
    return np.asarray(errors <= limit)


def choose_model(visible: Points, infrared: Points) -> tuple[Fit, str]:
    """The model with the least mean error on pairs left out, simpler ones first."""
    best: tuple[Fit, str] = (fit_similarity, "similarity")
    least = np.inf
    for name, fit, fewest in MODELS:
        if len(visible) < fewest:
            continue
        error = float(np.mean(left_out_errors(fit, visible, infrared)))
        if error < 0.97 * least:  # a richer model must earn its freedom
            best, least = (fit, name), error
    return best


def left_out_errors(fit: Fit, visible: Points, infrared: Points) -> npt.NDArray[np.float64]:
    """(N,) visible pixels: each pair's error under the fit of all others."""
    errors = np.empty(len(visible))
    for index in range(len(visible)):
        others = np.arange(len(visible)) != index
        homography = fit(visible[others], infrared[others])
        errors[index] = transfer_errors(homography, visible[~others], infrared[~others])[0]
    return errors


def transfer_errors(
    homography: Matrix, visible: Points, infrared: Points
) -> npt.NDArray[np.float64]:
    """(N,) distances in visible pixels between mapped infrared points and visible ones."""
    mapped = np.column_stack([infrared, np.ones(len(infrared))]) @ homography.T
    depth = np.where(np.abs(mapped[:, 2]) < 1e-12, 1e-12, mapped[:, 2])
    errors: npt.NDArray[np.float64] = np.linalg.norm(
        mapped[:, :2] / depth[:, None] - visible, axis=1
    )
    return errors


def fit_similarity(visible: Points, infrared: Points) -> Matrix:
    """Shift, turn and one scale, by least squares."""
    x, y = infrared.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.vstack([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, c, d = np.linalg.lstsq(rows, visible.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d], [0, 0, 1]])


def fit_affine(visible: Points, infrared: Points) -> Matrix:
    """Six parameters, by least squares."""
    rows = np.column_stack([infrared, np.ones(len(infrared))])
    solved = np.linalg.lstsq(rows, visible, rcond=None)[0]
    return np.vstack([solved.T, [0, 0, 1]])


def fit_homography(visible: Points, infrared: Points) -> Matrix:
    """Eight parameters, by least squares of the transfer error."""
    homography, _ = cv2.findHomography(
        np.ascontiguousarray(infrared), np.ascontiguousarray(visible), 0
    )
    if homography is None:  # degenerate: the affine motion is all these points say
        return fit_affine(visible, infrared)
    return np.asarray(homography, np.float64)


# The fewest pairs leave one over for each pair that is left out.
MODELS: tuple[tuple[str, Fit, int], ...] = (
    ("similarity", fit_similarity, 3),
    ("affine", fit_affine, 4),
    ("homography", fit_homography, 5),
)
