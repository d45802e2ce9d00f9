"""The loss terms: zero where they must be, equal to a slow twin, and trainable."""

import cv2
import numpy as np
import pytest
import torch

from mgdn_edge.export.losses import LossWeights, fusion_loss, sobel_magnitude, ssim
from mgdn_edge.runtime.quality.parity import ssim as reference_ssim

pytestmark = pytest.mark.export


def image(seed: int, height: int = 40, width: int = 56) -> torch.Tensor:
    return torch.rand((2, 1, height, width), generator=torch.Generator().manual_seed(seed))


def test_sobel_magnitude_equals_opencv_with_the_same_border() -> None:
    plane = image(0)
    expected = sum(
        np.abs(cv2.Sobel(plane[0, 0].numpy(), cv2.CV_32F, dx, dy, borderType=cv2.BORDER_REPLICATE))
        for dx, dy in ((1, 0), (0, 1))
    )
    np.testing.assert_allclose(sobel_magnitude(plane)[0, 0].numpy(), expected, atol=1e-6)


def test_ssim_equals_the_metric() -> None:
    first, second = image(1), image(2)
    expected = np.mean(
        [
            reference_ssim(a[0].numpy(), b[0].numpy(), 1.0)
            for a, b in zip(first, second, strict=True)
        ]
    )
    assert float(ssim(first, second)) == pytest.approx(expected, abs=1e-5)


def test_every_term_is_zero_for_three_equal_images() -> None:
    plane = image(3)
    loss = fusion_loss(plane, plane, plane, LossWeights())
    for term in (loss.total, loss.intensity, loss.gradient, loss.structure):
        assert float(term) == pytest.approx(0, abs=1e-6)


def test_the_brighter_input_is_wanted_and_the_darker_is_not() -> None:
    dark, bright = torch.full((1, 1, 16, 16), 0.1), torch.full((1, 1, 16, 16), 0.8)
    weights = LossWeights(structure=0)
    assert float(fusion_loss(bright, dark, bright, weights).total) == 0
    assert float(fusion_loss(dark, dark, bright, weights).total) == pytest.approx(0.7)


def test_losing_an_edge_of_either_input_costs() -> None:
    flat = torch.full((1, 1, 16, 16), 0.5)
    edge = flat.clone()
    edge[..., 8:] = 0.9
    for visible, infrared in ((edge, flat), (flat, edge)):
        assert float(fusion_loss(flat, visible, infrared, LossWeights()).gradient) > 0.1


def test_weights_weigh() -> None:
    parts = fusion_loss(image(4), image(5), image(6), LossWeights())
    weighted = fusion_loss(image(4), image(5), image(6), LossWeights(2.0, 3.0, 5.0))
    expected = 2 * parts.intensity + 3 * parts.gradient + 5 * parts.structure
    assert float(weighted.total) == pytest.approx(float(expected), rel=1e-6)


def test_flat_images_have_finite_gradients() -> None:
    fused = torch.zeros((1, 1, 16, 16), requires_grad=True)
    flat = torch.zeros((1, 1, 16, 16))
    fusion_loss(fused, flat, flat, LossWeights()).total.backward()
    assert fused.grad is not None
    assert bool(torch.isfinite(fused.grad).all())
