"""Refinement: parts of the picture each say where they belong, and one homography answers all.

The infrared picture is laid on the visible one, cut into parts, and each part is looked for
around its place. A part with edges in one direction only knows one coordinate, so it votes with
its correlation's curvature as a 2 x 2 information matrix. Tukey's weights silence parts that
disagree (parallax, things only one camera sees).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.alignment.apply.rig_file import Matrix
from mgdn_edge.runtime.alignment.measure.coarse_search import CELL, Images, scaling
from mgdn_edge.runtime.alignment.measure.edge_directions import (
    Field,
    SoftMask,
    direction_field,
    real_part_mask,
)

Float64s = npt.NDArray[np.float64]

PARTS = 14  # along the longer side of the shared area
PART_SIZE = 0.22  # of that side
LEAST_CORRELATION = 0.02
LEAST_KNOWN = 0.7  # of a part inside both pictures
# Deviations from a similarity are small between two cameras side by side: standard deviations,
# as shares of half the picture's width, of aspect and shear, and of perspective.
SHAPE_PRIOR, PERSPECTIVE_PRIOR = 0.015, 0.006


@dataclass(frozen=True)
class Votes:
    """What N parts say. Positions and shifts in pixels of the level, x before y.

    ``centres`` (N, 2), ``shifts`` (N, 2) of the best place, ``information`` (N, 2, 2) inverse
    square pixels, ``radius`` how far was looked.
    """

    centres: Float64s
    shifts: Float64s
    information: Float64s
    radius: float


class Level:
    """Frames at one resolution: the visible ``width`` in pixels, fields made once."""

    def __init__(self, frames: Images, width: int) -> None:
        visible = frames[0][0]
        self.scale = min(1.0, width / max(visible.shape))
        self.size = tuple(max(8, round(side * self.scale)) for side in visible.shape)
        self.to_level = scaling(self.scale)
        self._frames = frames
        self._fields: list[tuple[Field, SoftMask]] = []
        for picture, _ in frames:
            small = cv2.resize(picture, self.size[::-1], interpolation=cv2.INTER_AREA)
            mask = cv2.resize(
                real_part_mask(picture), self.size[::-1], interpolation=cv2.INTER_AREA
            )
            known = (np.asarray(mask) > 0.99).astype(np.float32)
            self._fields.append((direction_field(np.asarray(small, np.float32), known), known))

    def warped(self, homography: Matrix) -> list[tuple[Field, SoftMask]]:
        """Infrared fields of every frame on this level's visible grid."""
        matrix = self.to_level @ homography
        fields = []
        for _, picture in self._frames:
            known = real_part_mask(picture)
            span = _pixel_span(matrix, picture.shape)
            if span > 1.3:
                blurred = cv2.GaussianBlur(picture, (0, 0), 0.4 * span)
                picture = np.asarray(blurred, np.uint8)
            size = self.size[::-1]
            warped = cv2.warpPerspective(
                picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            mask = cv2.warpPerspective(known, matrix, size, flags=cv2.INTER_LINEAR)
            covered = (np.asarray(mask) > 0.99).astype(np.float32)
            fields.append((direction_field(np.asarray(warped, np.float32), covered), covered))
        return fields

    def score(self, homography: Matrix) -> float:
        """Correlation over the shared area, in standard deviations from chance."""
        total = 0.0
        for (visible, known), (infrared, covered) in zip(
            self._fields, self.warped(homography), strict=True
        ):
            shared = known * covered
            overlap = float(shared.sum())
            energy = float(
                ((visible**2).sum(2) * shared).sum() * ((infrared**2).sum(2) * shared).sum()
            )
            if overlap > 0 and energy > 0:
                product = float(((visible * infrared).sum(2) * shared).sum())
                total += product / np.sqrt(energy) * np.sqrt(overlap / CELL)
        return total / float(np.sqrt(len(self._fields)))

    def votes(self, homography: Matrix, radius: int) -> Votes:
        """Let every part be looked for within ``radius`` pixels of where it lies."""
        warped = self.warped(homography)
        shared = np.asarray(warped[0][1] * self._fields[0][1])
        rows, columns = np.flatnonzero(shared.any(1)), np.flatnonzero(shared.any(0))
        if not len(rows):
            return _no_votes(radius)
        long = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        side = max(12, round(PART_SIZE * long))
        step = max(4.0, long / PARTS)
        centres, shifts, information = [], [], []
        integral = cv2.integral(shared)
        for top in np.arange(rows[0], rows[-1] - side + 2, step).astype(int):
            for left in np.arange(columns[0], columns[-1] - side + 2, step).astype(int):
                known = (
                    integral[top + side, left + side]
                    - integral[top, left + side]
                    - integral[top + side, left]
                    + integral[top, left]
                )
                if known < LEAST_KNOWN * side * side:
                    continue
                vote = self._vote(warped, int(top), int(left), side, radius)
                if vote is None:
                    continue
                centres.append([left + (side - 1) / 2, top + (side - 1) / 2])
                shifts.append(vote[0])
                information.append(vote[1])
        if not centres:
            return _no_votes(radius)
        return Votes(
            np.array(centres),
            np.array(shifts),
            np.array(information),
            radius,
        )

    def _vote(
        self,
        warped: list[tuple[Field, SoftMask]],
        top: int,
        left: int,
        side: int,
        radius: int,
    ) -> tuple[list[float], Float64s] | None:
        total = None
        height, width = self.size
        y0, y1 = max(0, top - radius), min(height, top + side + radius)
        x0, x1 = max(0, left - radius), min(width, left + side + radius)
        for index, (field, _) in enumerate(warped):
            template = field[top : top + side, left : left + side]
            window = self._fields[index][0][y0:y1, x0:x1]
            surface = np.zeros((y1 - y0 - side + 1, x1 - x0 - side + 1), np.float32)
            # NCC by hand: OpenCV's normalised one divides by a window energy that may be zero.
            for channel in (0, 1):
                surface += cv2.matchTemplate(
                    np.ascontiguousarray(window[:, :, channel]),
                    np.ascontiguousarray(template[:, :, channel]),
                    cv2.TM_CCORR,
                )
            sums = cv2.integral((window**2).sum(2))
            energy = (
                sums[side:, side:]
                - sums[:-side, side:]
                - sums[side:, :-side]
                + sums[:-side, :-side]
            )
            floor = 0.002 * side * side
            surface /= np.sqrt((energy + floor) * (float((template**2).sum()) + floor))
            total = surface if total is None else total + surface
        assert total is not None
        total = total / len(warped)
        peak = _peak(total)
        if peak is None:
            return None
        column, row, curvature, best = peak
        # A part that matches well and stands out from the rest of its window counts more.
        contrast = max(0.0, best - float(np.mean(total))) / max(1e-3, float(np.std(total)))
        return [column + x0 - left, row + y0 - top], curvature * min(contrast / 4, 1.0)


def _peak(surface: Float64s) -> tuple[float, float, Float64s, float] | None:
    """Correlations -> (column, row) of the best to a fraction, its negative curvature (2, 2) and
    its height; None where it is on the border or nothing correlates.
    """
    row, column = (int(at) for at in np.unravel_index(int(np.argmax(surface)), surface.shape))
    best = float(surface[row, column])
    height, width = surface.shape
    if best <= LEAST_CORRELATION or not (1 <= row < height - 1 and 1 <= column < width - 1):
        return None
    near = surface[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    gx, gy = (near[1, 2] - near[1, 0]) / 2, (near[2, 1] - near[0, 1]) / 2
    xx = near[1, 0] - 2 * near[1, 1] + near[1, 2]
    yy = near[0, 1] - 2 * near[1, 1] + near[2, 1]
    xy = (near[2, 2] + near[0, 0] - near[0, 2] - near[2, 0]) / 4
    values, vectors = np.linalg.eigh(-np.array([[xx, xy], [xy, yy]]))
    curvature = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    offset = np.clip(np.linalg.solve(curvature, [gx, gy]), -0.7, 0.7)
    return column + float(offset[0]), row + float(offset[1]), curvature, best


def _no_votes(radius: int) -> Votes:
    return Votes(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2, 2)), radius)


def _pixel_span(matrix: Matrix, shape: tuple[int, ...]) -> float:
    """Source pixels per level pixel in the middle."""
    middle = np.array([shape[1] / 2, shape[0] / 2, 1])
    x, y, w = matrix @ middle
    slope = (matrix[:2, :2] * w - np.outer([x, y], matrix[2, :2])) / w**2
    return float(1 / np.sqrt(max(abs(float(np.linalg.det(slope))), 1e-9)))


@dataclass(frozen=True)
class Answer:
    """A homography that answers the votes; Tukey's ``weights`` (N,) 0..1 say which it heeds."""

    homography: Matrix
    weights: Float64s


def answer_votes(
    level: Level,
    homography: Matrix,
    votes: Votes,
    limit: float,
    chosen: npt.NDArray[np.bool_] | None = None,
) -> Answer | None:
    """Votes -> the homography that fits them; parts off by more than ``limit`` pixels are silent.

    Linearised about the present one: a shift (dx, dy) at (u, v), in half widths from the middle,
    is (a0 + a1 u + a2 v + p u u + q u v, b0 + b1 u + b2 v + p u v + q v v).
    """
    use = np.ones(len(votes.centres), np.bool_) if chosen is None else chosen
    if use.sum() < 6:
        return None
    height, width = level.size
    half = max(width, height) / 2
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    design = _design((votes.centres - middle) / half)
    prior = np.zeros((8, 8))
    for row, deviation in (
        ([0, 1, 0, 0, 0, -1, 0, 0], SHAPE_PRIOR),
        ([0, 0, 1, 0, 1, 0, 0, 0], SHAPE_PRIOR),
        ([0, 0, 0, 0, 0, 0, 1, 0], PERSPECTIVE_PRIOR),
        ([0, 0, 0, 0, 0, 0, 0, 1], PERSPECTIVE_PRIOR),
    ):
        prior += np.outer(row, row) / (deviation * half) ** 2 * 0.5
    prior += np.eye(8) * 1e-6
    norms = np.trace(votes.information, axis1=1, axis2=2)
    information = votes.information / max(float(np.median(norms[use])), 1e-9)
    weights: Float64s = use.astype(np.float64)
    solution = np.zeros(8)
    # From generous to strict: the start is only a similarity near the truth.
    for spread in np.geomspace(max(votes.radius, limit), limit, 10):
        weighed = information * weights[:, None, None]
        normal = np.einsum("nik,nij,njl->kl", design, weighed, design) + prior
        right = np.einsum("nik,nij,nj->k", design, weighed, votes.shifts)
        solution = np.linalg.solve(normal, right)
        residuals = _residuals(design, solution, votes.shifts, information)
        tukey = (1 - (residuals / spread) ** 2) ** 2
        weights = np.where((residuals < spread) & use, tukey, 0.0)
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], float)
    moved = corners + _design((corners - middle) / half) @ solution
    step = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    back = np.linalg.inv(level.to_level)
    updated = back @ step @ level.to_level @ homography
    return Answer(np.asarray(updated / updated[2, 2]), weights)


def _residuals(
    design: Float64s, solution: Float64s, shifts: Float64s, information: Float64s
) -> Float64s:
    off = shifts - design @ solution
    # Along an edge a part knows nothing; its error there is not its fault.
    strength = np.maximum(np.trace(information, axis1=1, axis2=2) / 2, 1e-9)
    square = np.einsum("ni,nij,nj->n", off, information, off) / strength
    return np.asarray(np.sqrt(np.maximum(square, 0)))


def _design(places: Float64s) -> Float64s:
    """(N, 2) in half widths -> (N, 2, 8)."""
    u, v = places.T
    design = np.zeros((len(places), 2, 8))
    design[:, 0, 0] = design[:, 1, 3] = 1
    design[:, 0, 1] = design[:, 1, 4] = u
    design[:, 0, 2] = design[:, 1, 5] = v
    design[:, 0, 6], design[:, 0, 7] = u * u, u * v
    design[:, 1, 6], design[:, 1, 7] = u * v, v * v
    return design
