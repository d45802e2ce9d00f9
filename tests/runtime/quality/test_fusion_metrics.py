"""Fusion metrics: known values by hand, extremes, and VIFB's published table."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.quality.fusion_metrics import (
    SMALLEST,
    FusionMetrics,
    average_gradient,
    correlation_of_differences,
    edge_preservation,
    entropy,
    mean_metrics,
    measure_fusion,
    mutual_information,
    spatial_frequency,
    visual_fidelity,
)

Plane = npt.NDArray[np.uint8]


def texture(seed: int, height: int = 64, width: int = 71) -> Plane:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5).astype(np.uint8)


def test_entropy_counts_bits() -> None:
    assert entropy(np.full((8, 8), 7, np.uint8)) == 0
    assert entropy(np.arange(256, dtype=np.uint8).reshape(16, 16)) == pytest.approx(8)
    assert entropy(np.array([[0, 0, 0, 255]], np.uint8)) == pytest.approx(2 - 0.75 * math.log2(3))


def test_spatial_frequency_of_stripes() -> None:
    stripes = np.tile(np.array([0, 10], np.uint8), (6, 4))
    assert spatial_frequency(stripes) == pytest.approx(10)
    assert spatial_frequency(stripes.T) == pytest.approx(10)


def test_average_gradient_of_a_ramp() -> None:
    ramp = np.tile(np.arange(0, 80, 4, dtype=np.uint8), (9, 1))
    assert average_gradient(ramp) == pytest.approx(4 / math.sqrt(2))


def test_mutual_information_of_a_plane_with_itself_is_its_entropy() -> None:
    plane = texture(0)
    assert mutual_information(plane, plane) == pytest.approx(entropy(plane))
    assert mutual_information(plane, 255 - plane) == pytest.approx(entropy(plane))
    assert mutual_information(plane, np.zeros_like(plane)) == pytest.approx(0, abs=1e-12)


def test_a_perfect_sum_of_details_correlates_fully() -> None:
    visible, infrared = texture(1) // 2, texture(2) // 2
    fused = visible + infrared
    assert correlation_of_differences(fused, visible, infrared) == pytest.approx(2)


def test_visual_fidelity_is_one_for_a_copy_and_falls_with_blur() -> None:
    plane = texture(3)
    blurred = cv2.GaussianBlur(plane, (0, 0), 2).astype(np.uint8)
    assert visual_fidelity(plane, plane) == pytest.approx(1, abs=1e-6)
    assert 0 < visual_fidelity(plane, blurred) < 0.5
    assert visual_fidelity(np.full_like(plane, 9), plane) == 0


def test_edge_preservation_is_near_one_for_a_copy_and_falls_with_blur() -> None:
    plane = texture(4)
    blurred = cv2.GaussianBlur(plane, (0, 0), 3).astype(np.uint8)
    kept = edge_preservation(plane, plane, plane)
    assert kept == pytest.approx(0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4)))
    assert edge_preservation(blurred, plane, plane) < 0.7 * kept
    flat = np.full_like(plane, 5)
    assert 0 <= edge_preservation(flat, flat, flat) <= 1


def test_swapping_the_inputs_changes_nothing() -> None:
    fused, visible, infrared = texture(5), texture(6), texture(7)
    one = measure_fusion(fused, visible, infrared)
    other = measure_fusion(fused, infrared, visible)
    for name in FusionMetrics.__struct_fields__:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9)


def test_flat_planes_give_finite_values() -> None:
    flat = np.full((SMALLEST, SMALLEST), 100, np.uint8)
    measured = measure_fusion(flat, flat, flat)
    for name in FusionMetrics.__struct_fields__:
        assert math.isfinite(getattr(measured, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plane: plane[:-1], "one size"),
        (lambda plane: plane.astype(np.float32), "float32"),
        (lambda plane: plane[None], "one size"),
    ],
)
def test_unlike_planes_are_refused(change: Callable[[Plane], Plane], message: str) -> None:
    plane = texture(8)
    with pytest.raises(UserError, match=message):
        measure_fusion(plane, change(plane), plane)


def test_planes_too_small_for_the_coarsest_scale_are_refused() -> None:
    plane = texture(9, SMALLEST - 1, 64)
    with pytest.raises(UserError, match="41x41"):
        measure_fusion(plane, plane, plane)
    smallest = texture(9, SMALLEST, SMALLEST)
    assert math.isfinite(measure_fusion(smallest, texture(10, SMALLEST, SMALLEST), smallest).vif)


def test_a_mean_needs_an_image() -> None:
    with pytest.raises(UserError, match="at least one"):
        mean_metrics([])
    one, other = FusionMetrics(*[1.0] * 9), FusionMetrics(*[3.0] * 9)
    assert mean_metrics([one, other]) == FusionMetrics(*[2.0] * 9)


# Our name, VIFB's, its value for ours, tolerance: the fused images are JPEG copies of what VIFB
# measured, the mean over their three channels is ours. Largest deviation seen over 21 images
# of three methods: 0.05 % for EN, SD, MI and SSIM, 6.6 % for SF, 0.7 % for AG, 1.1 % for Qabf.
PUBLISHED = [
    ("en", "Entropy", 1.0, 0.01),
    ("sd", "Variance", 1.0, 0.01),
    ("sf", "Spatial_frequency", 1.0, 0.08),
    ("ag", "Avg_gradient", 1.0, 0.012),
    ("mi", "Mutinf", math.log(2), 0.01),
    ("qabf", "Qabf", 1.0, 0.025),
    ("ssim", "Ssim", 1.0, 0.01),
]


@pytest.mark.data
@pytest.mark.parametrize("method", ["CNN", "GTF", "SeAFusion"])
@pytest.mark.parametrize("image", ["fight", "manlight"])
def test_published_values_of_vifb_are_met(shared: Path, method: str, image: str) -> None:
    root = shared / "data" / "vifb"
    with (root / "published_metrics.csv").open(newline="") as file:
        published = {
            row["metric"]: float(row["value"])
            for row in csv.DictReader(file)
            if row["image"] == image and row["method"] == method
        }
    colours = [
        cv2.imread(str(next(folder.glob(f"{image}.*"))))
        for folder in (root / "reference_fused" / method, root / "vi", root / "ir")
    ]
    measured = mean_metrics(
        [
            measure_fusion(*(np.ascontiguousarray(colour[..., channel]) for colour in colours))
            for channel in range(3)
        ]
    )
    for name, theirs, factor, tolerance in PUBLISHED:
        expected = pytest.approx(published[theirs], rel=tolerance)
        assert getattr(measured, name) * factor == expected, name
