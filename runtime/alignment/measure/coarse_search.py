"""Coarse search: every zoom and turn, every shift at once by Fourier transform.

For each zoom and turn the infrared field is correlated with the visible one over their overlap.
A correlation r over n independent cells is r * sqrt(n) standard deviations from chance, so
overlaps of different sizes compare. Frames vote by adding their correlations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from mgdn_edge.runtime.alignment.apply.rig_file import Matrix
from mgdn_edge.runtime.alignment.measure.edge_directions import (
    Field,
    SoftMask,
    direction_field,
    real_part_mask,
)
from mgdn_edge.runtime.picture.frame import Plane, Size

Complex = npt.NDArray[np.complex64]
Transforms = tuple[Complex, Complex, Complex]
Images = Sequence[tuple[Plane, Plane]]  # (visible, infrared)

ZOOMS = np.geomspace(0.4, 2.2, 36)  # infrared's width over visible's, in the scene; 5 % apart
TURNS = np.radians([-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0])
WIDTH = 144  # pixels of the wider picture where both are equally wide
LEAST_OVERLAP = 0.4  # of the smaller picture
CELL = 9.0  # pixels: area over which neighbouring directions say the same


@dataclass(frozen=True)
class CoarsePlacement:
    """A similarity (infrared -> visible pixels) and its standard deviations from chance."""

    homography: Matrix
    score: float


def search_candidates(frames: Images, most: int = 12) -> list[CoarsePlacement]:
    """Pairs of (H, W) and (h, w) uint8 -> the best similarities, best first, no two alike."""
    found: list[CoarsePlacement] = []
    for zoom in ZOOMS:
        found += _search_zoom(frames, float(zoom))
    found.sort(key=lambda candidate: -candidate.score)
    visible, infrared = frames[0]
    distinct: list[CoarsePlacement] = []
    for candidate in found:
        if all(
            corner_distance(candidate.homography, other.homography, infrared)
            > visible.shape[1] / 16
            for other in distinct
        ):
            distinct.append(candidate)
        if len(distinct) == most:
            break
    return distinct


def corner_distance(first: Matrix, second: Matrix, infrared: Plane) -> float:
    """Mean distance, in visible pixels, between where two homographies put the corners."""
    height, width = infrared.shape
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    moved = [cv2.perspectiveTransform(corners, matrix)[0] for matrix in (first, second)]
    return float(np.linalg.norm(moved[0] - moved[1], axis=1).mean())


def _search_zoom(frames: Images, zoom: float) -> list[CoarsePlacement]:
    visible, infrared = frames[0]
    wide = WIDTH * np.sqrt(max(zoom, 1 / zoom))
    visible_scale = wide / visible.shape[1] / max(zoom, 1.0)
    infrared_scale = wide / infrared.shape[1] * min(zoom, 1.0)
    size = (_scaled(visible, visible_scale), _scaled(infrared, infrared_scale))
    shape = (
        fft.next_fast_len(size[0][0] + size[1][0]),
        fft.next_fast_len(size[0][1] + size[1][1]),
    )
    prepared = [_prepare_visible(pair[0], size[0], shape) for pair in frames]
    small = [_shrink(pair[1], size[1]) for pair in frames]
    found = []
    for turn in TURNS:
        total = None
        for (transformed, energy, mask_transform), picture in zip(prepared, small, strict=True):
            middle = ((size[1][1] - 1) / 2, (size[1][0] - 1) / 2)
            spin = np.asarray(
                cv2.getRotationMatrix2D(middle, -float(np.degrees(turn)), 1.0), np.float64
            )
            turned, mask = _turned(picture, spin)
            field, strength, known = _transforms(direction_field(turned, mask), mask, shape)
            # One complex transform carries both energies: each is real.
            product = fft.ifft2(transformed * np.conj(field))
            energies = fft.ifft2(energy * np.conj(known) + 1j * mask_transform * np.conj(strength))
            overlap = np.real(fft.ifft2(mask_transform * np.conj(known)))
            limit = LEAST_OVERLAP * min(size[0][0] * size[0][1], size[1][0] * size[1][1])
            norm = np.sqrt(np.maximum(energies.real * energies.imag, 1e-6))
            score = product.real / norm * np.sqrt(np.maximum(overlap, 0) / CELL)
            score[overlap < limit] = -np.inf
            total = score if total is None else total + score
        assert total is not None
        found += _peaks(total / np.sqrt(len(frames)), size, visible_scale, infrared_scale, spin)
    return found


def _peaks(
    score: npt.NDArray[np.float32],
    size: tuple[Size, Size],
    visible_scale: float,
    infrared_scale: float,
    spin: npt.NDArray[np.float64],
) -> list[CoarsePlacement]:
    found = []
    remaining = score.copy()
    for _ in range(2):
        row, column = np.unravel_index(int(np.argmax(remaining)), remaining.shape)
        best = float(remaining[row, column])
        if not np.isfinite(best):
            break
        shift = [
            int(at) - (length if at > reach else 0)
            for at, length, reach in zip((row, column), score.shape, size[0], strict=True)
        ]
        place = np.vstack([spin, [0, 0, 1]])
        place[:2, 2] += shift[1], shift[0]
        homography = np.linalg.inv(scaling(visible_scale)) @ place @ scaling(infrared_scale)
        found.append(CoarsePlacement(homography, best))
        for each in range(-6, 7):
            remaining[
                (row + each) % score.shape[0], np.arange(column - 6, column + 7) % score.shape[1]
            ] = -np.inf
    return found


def scaling(factor: float) -> Matrix:
    """(3, 3): pixels -> pixels of the picture scaled by ``factor``, edges onto edges."""
    return np.array([[factor, 0, factor / 2 - 0.5], [0, factor, factor / 2 - 0.5], [0, 0, 1]])


def _scaled(image: Plane, factor: float) -> Size:
    return max(8, round(image.shape[0] * factor)), max(8, round(image.shape[1] * factor))


def _shrink(image: Plane, size: Size) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    shrinks = size[0] * size[1] < image.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    mask = cv2.resize(real_part_mask(image), size[::-1], interpolation=cv2.INTER_AREA)
    picture = cv2.resize(image, size[::-1], interpolation=method)
    return np.asarray(picture, np.float32), (np.asarray(mask) > 0.99).astype(np.float32)


def _turned(
    picture: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], spin: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    height, width = picture[0].shape
    turned = cv2.warpAffine(picture[0], spin, (width, height), borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(picture[1], spin, (width, height))
    return np.asarray(turned), (np.asarray(mask) > 0.99).astype(np.float32)


def _prepare_visible(image: Plane, size: Size, shape: Size) -> Transforms:
    picture, mask = _shrink(image, size)
    return _transforms(direction_field(picture, mask), mask, shape)


def _transforms(field: Field, mask: SoftMask, shape: Size) -> Transforms:
    """Fourier transforms of the field as complex numbers, of its energy and of its mask."""
    numbers = (field[:, :, 0] + 1j * field[:, :, 1]).astype(np.complex64)
    energy = field[:, :, 0] ** 2 + field[:, :, 1] ** 2
    return fft.fft2(numbers, shape), fft.fft2(energy, shape), fft.fft2(mask, shape)
