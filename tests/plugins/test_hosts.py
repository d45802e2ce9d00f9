"""Every native host of DynamicFilter computes what the numpy reference does."""

import numpy as np
import pytest

from mgdn_edge.plugins import reference

pytestmark = pytest.mark.native

KERNEL_SIZES = [3, 5, 7]
UPSCALES = [1, 2, 4]
# (N, C, H, W) before upscaling: one pixel, one row, one column, smaller than the filter, tiles
# of 16, 64 and 128 pixels with a rest, channel groups of 6 and 32 with a rest, several bands of
# 12 rows. On CUDA: tiles of 64x8, one and several, rows that are whole chunks of 16 bytes and not.
SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 1, 5),
    (1, 2, 5, 1),
    (1, 7, 17, 33),
    (1, 34, 5, 48),
    (2, 13, 19, 131),
    (1, 5, 33, 257),
    (2, 1, 8, 64),
    (1, 5, 9, 72),
    (3, 2, 25, 200),
]


def draw_case(shape, k, s, dtype=np.float32, seed=1):
    rng = np.random.default_rng(seed)
    n, c, h, w = shape
    feature = rng.standard_normal((n, c, h * s, w * s)).astype(dtype)
    return feature, rng.standard_normal((n, k * k, h, w)).astype(dtype)


def error_bound(feature, kernel, k, s):
    """What rounding may do: float32 sums of K*K products, then storage.

    Each of K*K sums, a product and five steps of interpolation round by at most 2^-24 of the
    sum of magnitudes; storing as half rounds by 2^-11 of the value or half a subnormal's step.
    """
    magnitude = reference.dynamic_filter(np.abs(feature), np.abs(kernel), k, s)
    bound = magnitude * (k * k + 6) * 2.0**-24
    if feature.dtype == np.float16:
        return bound + magnitude * 2.0**-11 + 2.0**-25
    return bound + k * k * 2.0**-149


def assert_close(out, feature, kernel, k, s):
    expected = reference.dynamic_filter(feature, kernel, k, s)
    assert out.dtype == feature.dtype
    assert out.shape == feature.shape
    excess = np.abs(out.astype(np.float64) - expected) - error_bound(feature, kernel, k, s)
    assert excess.max() <= 0, np.unravel_index(excess.argmax(), excess.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("s", UPSCALES)
@pytest.mark.parametrize("k", KERNEL_SIZES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_host_equals_the_reference(host, shape, k, s, dtype):
    feature, kernel = draw_case(shape, k, s, dtype)
    assert_close(host(feature, kernel, k, s), feature, kernel, k, s)


@pytest.mark.parametrize("channels", range(1, 14))
def test_any_number_of_channels(host, channels):
    feature, kernel = draw_case((1, channels, 3, 70), 3, 1)
    assert_close(host(feature, kernel, 3, 1), feature, kernel, 3, 1)


@pytest.mark.parametrize("width", range(1, 70))
def test_any_width(host, width):
    feature, kernel = draw_case((1, 1, 2, width), 5, 2)
    assert_close(host(feature, kernel, 5, 2), feature, kernel, 5, 2)


@pytest.mark.parametrize("width", [624, 631])
@pytest.mark.parametrize("channels", [7, 70])  # in one strip, in several
def test_a_result_larger_than_caches(host, width, channels):
    feature, kernel = draw_case((1, channels, 1700 // channels, width), 3, 1)
    assert_close(host(feature, kernel, 3, 1), feature, kernel, 3, 1)


@pytest.mark.parametrize(
    ("feature_scale", "kernel_scale"), [(1e36, 1e-3), (1e-36, 1e-6), (1e-20, 1e20), (1e30, 1e-36)]
)
@pytest.mark.parametrize("s", [1, 4])
def test_huge_and_tiny_values(host, feature_scale, kernel_scale, s):
    feature, kernel = draw_case((1, 2, 9, 21), 5, s)
    feature, kernel = feature * np.float32(feature_scale), kernel * np.float32(kernel_scale)
    assert_close(host(feature, kernel, 5, s), feature, kernel, 5, s)


def test_half_overflows_to_infinity_and_keeps_subnormals(host):
    feature = np.array([[[[60000.0, 6e-8, -60000.0]]]], np.float16)
    kernel = np.zeros((1, 9, 1, 3), np.float16)
    kernel[0, 4] = 2
    out = host(feature, kernel, 3, 1)
    np.testing.assert_array_equal(out, [[[[np.inf, np.float16(1.2e-7), -np.inf]]]])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("x", [0, 1, 62, 64, 127, 128, 190])
@pytest.mark.parametrize("k", KERNEL_SIZES)
def test_nan_in_one_pixel_reaches_only_its_neighbours(host, k, x, dtype):
    feature, kernel = draw_case((1, 3, 21, 191), k, 1, dtype)
    feature[0, 1, 16, x] = np.nan
    bad = np.isnan(host(feature, kernel, k, 1))
    reach = k // 2
    expected = np.zeros_like(bad)
    expected[0, 1, 16 - reach : 17 + reach, max(0, x - reach) : x + 1 + reach] = True
    np.testing.assert_array_equal(bad, expected)


@pytest.mark.parametrize("s", UPSCALES)
def test_views_that_are_not_contiguous(host, s):
    feature, kernel = draw_case((2, 3, 7, 40), 3, s)
    feature, kernel = feature[:, ::-1, :, ::-1], kernel[:, :, ::-1]
    assert_close(host(feature, kernel, 3, s), feature, kernel, 3, s)


def swap_taps(kernel, k):
    n, _, h, w = kernel.shape
    return kernel.reshape(n, k, k, h, w).swapaxes(1, 2).reshape(kernel.shape)


def flip_kernel(kernel, k):
    return kernel[:, ::-1]


def move_by_one(kernel, k):
    return np.roll(kernel, 1, axis=3)


@pytest.mark.parametrize("wrong", [swap_taps, flip_kernel, move_by_one])
@pytest.mark.parametrize("s", UPSCALES)
@pytest.mark.parametrize("k", KERNEL_SIZES)
def test_a_wrong_kernel_is_noticed(host, k, s, wrong):
    feature, kernel = draw_case((1, 2, 9, 17), k, s)
    with pytest.raises(AssertionError):
        assert_close(host(feature, wrong(kernel, k), k, s), feature, kernel, k, s)


@pytest.mark.parametrize("k", KERNEL_SIZES)
def test_a_zero_border_is_noticed(host, k):
    feature, kernel = draw_case((1, 2, 9, 17), k, 1)
    reach = k // 2
    border = ((0, 0), (0, 0), (reach, reach), (reach, reach))
    inner = slice(reach, -reach)
    out = host(np.pad(feature, border), np.pad(kernel, border), k, 1)[:, :, inner, inner]
    with pytest.raises(AssertionError):
        assert_close(out, feature, kernel, k, 1)


@pytest.mark.data
@pytest.mark.parametrize("case", ["fac_1x6x9x11", "fac_2x6x5x4", "fac3"])
def test_official_filter_gives_the_same_values(host, shared, case):
    from safetensors.numpy import load_file

    golden = load_file(shared / "golden" / "mgdn" / "dynamic_filter.safetensors")
    out = host(golden[f"{case}.feat"], golden[f"{case}.kernel"], 7, 1)
    # Kernels are N(0, 1): 49 products summed in float32 by the official code, too.
    assert np.abs(out - golden[f"{case}.out"]).max() < 2e-5
