import math

import numpy as np
import pytest

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.quality.parity import max_error, mean_error, measure_parity, psnr, ssim


def ssim_by_definition(a, b, data_range):
    """Window by window, two-dimensional weights, centred moments: no shared code path."""
    height, width = a.shape
    rows = min(11, height if height % 2 else height - 1)
    columns = min(11, width if width % 2 else width - 1)
    yy, xx = np.mgrid[:rows, :columns]
    weights = np.exp(-((yy - rows // 2) ** 2 + (xx - columns // 2) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    scores = []
    for y in range(height - rows + 1):
        for x in range(width - columns + 1):
            p = a[y : y + rows, x : x + columns].astype(float)
            q = b[y : y + rows, x : x + columns].astype(float)
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            cov = (weights * (p - mp) * (q - mq)).sum()
            luminance = (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)
            scores.append(luminance * (2 * cov + c2) / (vp + vq + c2))
    return np.mean(scores)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    "size", [(11, 11), (11, 30), (24, 17), (10, 12), (1, 1), (1, 20), (2, 2), (5, 40)]
)
def test_ssim_equals_its_definition_window_by_window(rng, size):
    a = rng.integers(0, 256, size, dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-40, 41, size), 0, 255).astype(np.uint8)
    assert ssim(a, b, 255) == pytest.approx(ssim_by_definition(a, b, 255), abs=1e-9)


def test_ssim_ignores_what_only_the_border_window_would_see(rng):
    a = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    assert ssim(a, a, 255) == 1.0
    assert ssim(a, 255 - a, 255) < 0
    zero_padded = np.pad(a, 11)
    assert ssim(zero_padded, zero_padded[::-1], 255) != ssim(a, a[::-1], 255)


def test_ssim_of_unit_range_equals_that_of_levels(rng):
    a, b = rng.random((20, 20)), rng.random((20, 20))
    assert ssim(a, b, 1.0) == pytest.approx(ssim(a * 255, b * 255, 255.0), abs=1e-12)


def test_uint8_differences_do_not_wrap():
    low, high = np.array([[0, 0]], np.uint8), np.array([[255, 1]], np.uint8)
    assert max_error(low, high) == max_error(high, low) == 255
    assert mean_error(low, high) == 128
    assert psnr(low, high, 255) == pytest.approx(10 * math.log10(2 * 255**2 / (255**2 + 1)))


def test_equal_images_have_infinite_psnr_and_pass_at_tolerance_zero():
    image = np.full((3, 3), 9, np.uint8)
    parity = measure_parity(image, image, data_range=255, tolerance=0)
    assert parity.passed
    assert math.isinf(parity.psnr)
    assert parity.ssim == 1.0


def test_one_level_passes_at_one_and_fails_at_zero():
    a = np.full((12, 12), 100, np.uint8)
    b = a.copy()
    b[5, 5] += 1
    assert measure_parity(a, b, data_range=255, tolerance=1).passed
    assert not measure_parity(a, b, data_range=255, tolerance=0).passed


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_never_passes(bad):
    a = np.zeros((12, 12), np.float32)
    b = a.copy()
    b[0, 0] = bad
    assert not measure_parity(b, a, data_range=1, tolerance=1e9).passed
    assert not measure_parity(b, b, data_range=1, tolerance=1e9).passed


@pytest.mark.parametrize(
    ("a", "b"), [((3, 4), (4, 3)), ((3, 4, 1), (3, 4, 1)), ((0, 4), (0, 4)), ((4,), (4,))]
)
@pytest.mark.parametrize("measure", [max_error, mean_error, lambda a, b: ssim(a, b, 255)])
def test_shapes_that_cannot_be_compared_are_refused(a, b, measure):
    with pytest.raises(UserError, match="cannot compare"):
        measure(np.zeros(a), np.zeros(b))
