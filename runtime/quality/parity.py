"""How far two images are apart: maximum and mean error, PSNR, SSIM, and the parity verdict."""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError

# Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
# structural similarity", IEEE TIP 13(4), 2004: window and constants of the reference code.
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1 = 0.01
SSIM_K2 = 0.03

AnyImage = npt.NDArray[np.generic]


class Parity(msgspec.Struct, frozen=True):
    """How far ``actual`` is from ``expected``; errors and ``tolerance`` in the images' unit.

    ``passed`` is max_error <= tolerance with every value finite. ``psnr`` is in dB, infinite
    (JSON null) where the images are equal.
    """

    max_error: float
    mean_error: float
    psnr: float
    ssim: float
    tolerance: float
    passed: bool


def measure_parity(
    actual: AnyImage, expected: AnyImage, *, data_range: float, tolerance: float
) -> Parity:
    """(H, W), (H, W) of range 0..data_range -> Parity; NaN anywhere never passes."""
    worst = max_error(actual, expected)
    return Parity(
        max_error=worst,
        mean_error=mean_error(actual, expected),
        psnr=psnr(actual, expected, data_range),
        ssim=ssim(actual, expected, data_range),
        tolerance=tolerance,
        passed=worst <= tolerance,
    )


def max_error(actual: AnyImage, expected: AnyImage) -> float:
    """(H, W), (H, W) -> largest absolute difference; NaN where either holds a NaN."""
    return float(np.abs(_difference(actual, expected)).max())


def mean_error(actual: AnyImage, expected: AnyImage) -> float:
    """(H, W), (H, W) -> mean absolute difference."""
    return float(np.abs(_difference(actual, expected)).mean())


def psnr(actual: AnyImage, expected: AnyImage, data_range: float) -> float:
    """(H, W), (H, W) of range 0..data_range -> peak signal-to-noise ratio in dB; inf if equal."""
    error = float(np.square(_difference(actual, expected)).mean())
    return math.inf if error == 0 else 20 * math.log10(data_range) - 10 * math.log10(error)


def ssim(actual: AnyImage, expected: AnyImage, data_range: float) -> float:
    """(H, W), (H, W) of range 0..data_range -> mean SSIM in [-1, 1] over the valid region.

    11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03, population moments (Wang et al. 2004,
    without their optional downsampling). A side shorter than 11 takes the largest odd window
    that fits it, the same sigma, weights renormalised: a 1x1 image compares two values.
    """
    from scipy.ndimage import correlate1d

    _difference(actual, expected)
    windows = [_gaussian(side) for side in actual.shape]

    def local_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        for axis, window in enumerate(windows):
            values = correlate1d(values, window, axis=axis)
            reach = len(window) // 2  # drop what saw the border: the valid region
            values = values.take(range(reach, values.shape[axis] - reach), axis)
        return values

    a = actual.astype(np.float64)
    b = expected.astype(np.float64)
    mean_a, mean_b = local_mean(a), local_mean(b)
    variance_a = local_mean(a * a) - mean_a**2
    variance_b = local_mean(b * b) - mean_b**2
    covariance = local_mean(a * b) - mean_a * mean_b
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return float(similarity.mean())


def _gaussian(side: int) -> npt.NDArray[np.float64]:
    """Odd window of at most 11 taps that fits ``side`` pixels, summing to one."""
    reach = min(SSIM_WINDOW, side - 1 + side % 2) // 2
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SSIM_SIGMA) ** 2)
    weights: npt.NDArray[np.float64] = window / window.sum()
    return weights


def _difference(actual: AnyImage, expected: AnyImage) -> npt.NDArray[np.float64]:
    if actual.shape != expected.shape or actual.ndim != 2 or 0 in actual.shape:
        raise UserError(
            f"cannot compare images of shapes {actual.shape} and {expected.shape}; "
            "two (H, W) images of one size, at least 1x1, are needed"
        )
    difference: npt.NDArray[np.float64] = actual.astype(np.float64) - expected.astype(np.float64)
    return difference
