"""Classical fusion baselines behind the session interface: average, laplacian, guided.

All take frames of any size from 1x1 and compute on the CPU with OpenCV.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.fusion.contract.session import MIN_SLOTS, Session, Slot
from mgdn_edge.runtime.picture.frame import Plane, Size

FloatPlane = npt.NDArray[np.float32]
FuseInto = Callable[[Plane, Plane, Plane], object]

# A coarsest level below 16 pixels holds nothing but the mean; above five levels it never is.
COARSEST_PIXELS = 16
MAX_LEVELS = 5

# Li, Kang, Hu, "Image Fusion With Guided Filtering", IEEE TIP 22(7), 2013, section IV-A:
# mean filter 31x31; Gaussian radius 5, sigma 5; guided filters (r, eps) (45, 0.3), (7, 1e-6).
GUIDED_BASE_WINDOW = 31
GUIDED_SALIENCY_WINDOW, GUIDED_SALIENCY_SIGMA = 11, 5.0
GUIDED_BASE_RADIUS, GUIDED_BASE_EPS = 45, 0.3
GUIDED_DETAIL_RADIUS, GUIDED_DETAIL_EPS = 7, 1e-6


def fuse_average(visible: Plane, infrared: Plane, fused: Plane) -> None:
    """(H, W) uint8 luma, (H, W) uint8 infrared -> their mean, half to even, into ``fused``."""
    cv2.addWeighted(visible, 0.5, infrared, 0.5, 0.0, dst=fused)


def fuse_laplacian(visible: Plane, infrared: Plane, fused: Plane) -> None:
    """(H, W) uint8 luma, (H, W) uint8 infrared -> (H, W) uint8 into ``fused``.

    Laplacian pyramid (Burt and Adelson 1983): the maximum of the two at the coarsest level,
    the coefficient of larger magnitude (visible where equal) at every level above.
    """
    level_count = 0
    while level_count < MAX_LEVELS and min(visible.shape) >> (level_count + 1) >= COARSEST_PIXELS:
        level_count += 1
    # int16 holds every coefficient: the levels are rounded 8-bit planes, their differences
    # lie in -255..255.
    visible_levels, visible_base = _laplacian_pyramid(visible, level_count)
    infrared_levels, infrared_base = _laplacian_pyramid(infrared, level_count)
    result = np.asarray(cv2.max(visible_base, infrared_base), dtype=np.int16)
    for visible_level, infrared_level in zip(
        reversed(visible_levels), reversed(infrared_levels), strict=True
    ):
        result = _pyramid_up(result, visible_level.shape)
        np.copyto(
            visible_level, infrared_level, where=np.abs(infrared_level) > np.abs(visible_level)
        )
        cv2.add(result, visible_level, dst=result)
    np.clip(result, 0, 255, out=fused, casting="unsafe")


def _pyramid_up(plane: npt.NDArray[np.int16], shape: tuple[int, ...]) -> npt.NDArray[np.int16]:
    up: npt.NDArray[np.int16] = np.asarray(cv2.pyrUp(plane, dstsize=(shape[1], shape[0])))
    return up


def _laplacian_pyramid(
    plane: Plane, level_count: int
) -> tuple[list[npt.NDArray[np.int16]], npt.NDArray[np.int16]]:
    """(H, W) uint8 -> ([finest .. coarsest detail] int16, base int16)."""
    levels = []
    for _ in range(level_count):
        smaller = cv2.pyrDown(plane)
        blurred = cv2.pyrUp(smaller, dstsize=(plane.shape[1], plane.shape[0]))
        levels.append(np.asarray(cv2.subtract(plane, blurred, dtype=cv2.CV_16S), np.int16))
        plane = np.asarray(smaller, np.uint8)
    return levels, plane.astype(np.int16)


def fuse_guided(visible: Plane, infrared: Plane, fused: Plane) -> None:
    """(H, W) uint8 luma, (H, W) uint8 infrared -> (H, W) uint8 into ``fused``.

    Guided-filter fusion of Li, Kang and Hu (2013): a mean filter splits base and detail; the
    more salient image wins each pixel; the two binary maps, smoothed by guided filters of the
    source images, weigh base and detail layers.
    """
    images = [_unit_range(visible), _unit_range(infrared)]
    window = (GUIDED_BASE_WINDOW, GUIDED_BASE_WINDOW)
    bases = [cv2.blur(image, window, borderType=cv2.BORDER_REFLECT) for image in images]
    salient = [_saliency(image) for image in images]
    visible_wins = (salient[0] >= salient[1]).astype(np.float32)
    wins = [visible_wins, 1.0 - visible_wins]
    total = np.zeros(visible.shape, np.float32)
    for layers, radius, eps in (
        (bases, GUIDED_BASE_RADIUS, GUIDED_BASE_EPS),
        (
            [image - base for image, base in zip(images, bases, strict=True)],
            GUIDED_DETAIL_RADIUS,
            GUIDED_DETAIL_EPS,
        ),
    ):
        # A guided filter may overshoot [0, 1] at strong edges; a weight may not.
        weights = [
            np.clip(_guided_filter(guide, win, radius, eps), 0.0, 1.0)
            for guide, win in zip(images, wins, strict=True)
        ]
        weight_sum = weights[0] + weights[1] + 1e-6  # both maps may vanish at a pixel
        total += (weights[0] * layers[0] + weights[1] * layers[1]) / weight_sum
    np.copyto(fused, cv2.convertScaleAbs(np.maximum(total, 0.0), alpha=255.0))


def _unit_range(plane: Plane) -> FloatPlane:
    scaled: FloatPlane = plane.astype(np.float32) * np.float32(1 / 255)
    return scaled


def _saliency(image: FloatPlane) -> FloatPlane:
    """(H, W) float32 -> (H, W) float32: smoothed magnitude of the Laplacian."""
    edges = np.abs(cv2.Laplacian(image, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REFLECT))
    window = (GUIDED_SALIENCY_WINDOW, GUIDED_SALIENCY_WINDOW)
    smooth = cv2.GaussianBlur(edges, window, GUIDED_SALIENCY_SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, np.float32)


def _guided_filter(guide: FloatPlane, plane: FloatPlane, radius: int, eps: float) -> FloatPlane:
    """(H, W) float32 guide in [0, 1], (H, W) float32 -> (H, W) float32.

    He, Sun, Tang, "Guided Image Filtering", 2010: a local line ``a * guide + b`` per window.
    """

    def mean(values: FloatPlane) -> FloatPlane:
        window = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT), np.float32)

    guide_mean, plane_mean = mean(guide), mean(plane)
    covariance = mean(guide * plane) - guide_mean * plane_mean
    variance = mean(guide * guide) - guide_mean * guide_mean
    slope = covariance / (np.maximum(variance, 0.0) + np.float32(eps))
    offset = plane_mean - slope * guide_mean
    filtered: FloatPlane = mean(slope) * guide + mean(offset)
    return filtered


class Baseline(NamedTuple):
    """One classical method and the number format its arithmetic is carried in."""

    fuse_into: FuseInto
    precision: Literal["uint8", "int16", "float32"]


BASELINES: Mapping[str, Baseline] = {
    "average": Baseline(fuse_average, "uint8"),
    "laplacian": Baseline(fuse_laplacian, "int16"),
    "guided": Baseline(fuse_guided, "float32"),
}


class BaselineSession(Session):
    """A baseline as a session; owns one worker thread, which ends with ``close``."""

    backend = "opencv"
    variant = "any-size"

    def __init__(self, network: str, slots: int = MIN_SLOTS) -> None:
        super().__init__(slots)
        if network not in BASELINES:
            raise UserError(
                f"network {network!r} is not a baseline; baselines are {', '.join(BASELINES)}"
            )
        self.network = network
        self._fuse_into, self.precision = BASELINES[network]
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"mgdn-{network}")

    def check_size(self, size: Size) -> None:
        """Every size from 1x1 can be fused."""

    def submit(self, slot: Slot) -> None:
        """Start fusing the slot's inputs on the worker thread."""
        slot.pending = self._worker.submit(self._compute, slot)

    def close(self) -> None:
        """Wait for what was submitted, then end the worker thread."""
        self._worker.shutdown(wait=True)

    def _compute(self, slot: Slot) -> None:
        slot.started_ns = time.perf_counter_ns()
        self._fuse_into(slot.visible, slot.infrared, slot.fused)
        slot.finished_ns = time.perf_counter_ns()
