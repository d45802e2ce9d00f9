"""The nine metrics by which infrared-visible fusion is usually compared.

Every function takes (H, W) uint8 luma planes of one size; larger is better for all of them.
EN, SD, SF and AG look at the fused plane alone and also rise with noise; MI, SCD, VIF, Qabf and
SSIM compare it with both inputs and are sums or means over the two, as published tables are.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.picture.frame import Plane
from mgdn_edge.runtime.quality.parity import ssim

Values = npt.NDArray[np.float64]

LEVELS = 256
# Xydeas and Petrovic's constants of the edge-preservation sigmoids: strength, then orientation.
STRENGTH_SIGMOID = (0.9994, -15.0, 0.5)
ORIENTATION_SIGMOID = (0.9879, -22.0, 0.8)
VIF_NOISE = 2.0  # variance of the visual noise, Sheikh and Bovik's reference code
VIF_SCALES = 4
SMALLEST = 41  # pixels a side: the coarsest VIF scale then has one valid window left


class FusionMetrics(msgspec.Struct, frozen=True):
    """One fused plane judged against its two inputs. Entropies are in bits.

    ``en`` entropy (Roberts et al. 2008), ``sd`` standard deviation, ``sf`` spatial frequency
    (Eskicioglu and Fisher 1995), ``ag`` average gradient (Cui et al. 2015), ``mi`` mutual
    information with both inputs, summed (Qu et al. 2002), ``scd`` sum of the correlations of
    differences (Aslantas and Bendes 2015), ``vif`` pixel-domain visual information fidelity
    with both inputs, summed (Sheikh and Bovik 2006), ``qabf`` edge preservation (Xydeas and
    Petrovic 2000), ``ssim`` with both inputs, summed (Wang et al. 2004).
    """

    en: float
    sd: float
    sf: float
    ag: float
    mi: float
    scd: float
    vif: float
    qabf: float
    ssim: float


def measure_fusion(fused: Plane, visible: Plane, infrared: Plane) -> FusionMetrics:
    """(H, W) uint8, three times -> FusionMetrics; UserError unless of one size >= 41x41."""
    for plane in (fused, visible, infrared):
        if plane.ndim != 2 or plane.dtype != np.uint8 or plane.shape != fused.shape:
            raise UserError(
                f"fusion metrics got {plane.dtype} {plane.shape} beside {fused.shape}; "
                "three uint8 luma planes of one size are needed"
            )
    if min(fused.shape) < SMALLEST:
        raise UserError(
            f"fusion metrics got planes of {fused.shape[1]}x{fused.shape[0]}; "
            f"at least {SMALLEST}x{SMALLEST} pixels are needed"
        )
    return FusionMetrics(
        en=entropy(fused),
        sd=float(fused.std()),
        sf=spatial_frequency(fused),
        ag=average_gradient(fused),
        mi=mutual_information(visible, fused) + mutual_information(infrared, fused),
        scd=correlation_of_differences(fused, visible, infrared),
        vif=visual_fidelity(visible, fused) + visual_fidelity(infrared, fused),
        qabf=edge_preservation(fused, visible, infrared),
        ssim=ssim(fused, visible, 255) + ssim(fused, infrared, 255),
    )


def mean_metrics(measured: list[FusionMetrics]) -> FusionMetrics:
    """One FusionMetrics per image, at least one -> their means."""
    if not measured:
        raise UserError("no image was measured; a mean needs at least one")
    table = np.array([msgspec.structs.astuple(one) for one in measured], np.float64)
    return FusionMetrics(*table.mean(axis=0).tolist())


def entropy(plane: Plane) -> float:
    """(H, W) uint8 -> Shannon entropy of its grey levels, in bits."""
    return _entropy(np.bincount(plane.ravel(), minlength=LEVELS))


def spatial_frequency(plane: Plane) -> float:
    """(H, W) uint8 -> root mean square of row and column differences, together."""
    values = plane.astype(np.float64)
    across, down = np.diff(values, axis=1), np.diff(values, axis=0)
    return math.sqrt(float(np.square(across).mean() + np.square(down).mean()))


def average_gradient(plane: Plane) -> float:
    """(H, W) uint8 -> mean of sqrt((dx^2 + dy^2) / 2), central differences, one-sided at edges.

    VIFB's code divides by (H-1)(W-1) and so reports about 0.5 % more.
    """
    down, across = np.gradient(plane.astype(np.float64))
    return float(np.sqrt((np.square(across) + np.square(down)) / 2).mean())


def mutual_information(first: Plane, second: Plane) -> float:
    """(H, W) uint8, twice -> mutual information of their grey levels, in bits.

    VIFB's table is in nats: 0.693 times this.
    """
    joint = np.bincount(
        first.ravel().astype(np.int64) * LEVELS + second.ravel(), minlength=LEVELS * LEVELS
    )
    return entropy(first) + entropy(second) - _entropy(joint)


def correlation_of_differences(fused: Plane, visible: Plane, infrared: Plane) -> float:
    """(H, W) uint8 -> corr(F - IR, VIS) + corr(F - VIS, IR); 0 for a flat plane."""
    f, v, i = (plane.astype(np.float64) for plane in (fused, visible, infrared))
    return _correlation(f - i, v) + _correlation(f - v, i)


def visual_fidelity(reference: Plane, fused: Plane) -> float:
    """(H, W) uint8, twice -> pixel-domain VIF; 1 where they are equal, 0 for a flat reference."""
    from scipy.ndimage import correlate1d

    a, b = reference.astype(np.float64), fused.astype(np.float64)
    kept = total = 0.0
    for scale in range(VIF_SCALES):
        side = 2 ** (VIF_SCALES - scale) + 1
        window = np.exp(-0.5 * (np.arange(-(side // 2), side // 2 + 1) / (side / 5)) ** 2)
        window /= window.sum()
        reach = side // 2
        valid = np.s_[reach:-reach, reach:-reach]

        def local_mean(
            values: Values, window: Values = window, valid: tuple[slice, slice] = valid
        ) -> Values:
            rows = correlate1d(values, window, axis=0)
            mean: Values = correlate1d(rows, window, axis=1)[valid]
            return mean

        if scale > 0:
            a, b = local_mean(a)[::2, ::2], local_mean(b)[::2, ::2]
        mean_a, mean_b = local_mean(a), local_mean(b)
        variance_a = np.maximum(local_mean(a * a) - mean_a**2, 0)
        variance_b = np.maximum(local_mean(b * b) - mean_b**2, 0)
        covariance = local_mean(a * b) - mean_a * mean_b

        gain = np.where(variance_a < 1e-10, 0, covariance / (variance_a + 1e-10))
        noise = variance_b - gain * covariance
        noise = np.where(gain < 0, variance_b, noise)
        gain = np.maximum(gain, 0)
        noise = np.maximum(noise, 1e-10)
        kept += float(np.log10(1 + gain**2 * variance_a / (noise + VIF_NOISE)).sum())
        total += float(np.log10(1 + variance_a / VIF_NOISE).sum())
    return kept / total if total > 0 else 0.0


def edge_preservation(fused: Plane, visible: Plane, infrared: Plane) -> float:
    """(H, W) uint8 -> Q^AB/F in [0, 1]: Sobel edges kept, weighted by the inputs' strength."""
    strength_f, angle_f = _sobel(fused)
    kept = weight = 0.0
    for source in (visible, infrared):
        strength, angle = _sobel(source)
        larger = np.maximum(strength, strength_f)
        ratio = np.where(
            larger == 0, 0, np.minimum(strength, strength_f) / np.where(larger == 0, 1, larger)
        )
        # The paper's formula; it calls pi/2 and -pi/2 opposite though they are one orientation.
        agreement = 1 - np.abs(angle - angle_f) / (math.pi / 2)
        quality = _sigmoid(ratio, STRENGTH_SIGMOID) * _sigmoid(agreement, ORIENTATION_SIGMOID)
        kept += float((quality * strength).sum())
        weight += float(strength.sum())
    return kept / weight if weight > 0 else 0.0


def _entropy(counts: npt.NDArray[np.integer]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _correlation(first: Values, second: Values) -> float:
    a, b = first - first.mean(), second - second.mean()
    norm = math.sqrt(float(np.square(a).sum()) * float(np.square(b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _sobel(plane: Plane) -> tuple[Values, Values]:
    """(H, W) uint8 -> gradient magnitude and orientation in [-pi/2, pi/2].

    Zeros beyond the border, as the published code's ``conv2(..., 'same')``: its frame counts
    as an edge, and without it VIFB's table is met to 4 % in place of 0.5 %.
    """
    from scipy.ndimage import sobel

    values = plane.astype(np.float64)
    across, down = (sobel(values, axis=axis, mode="constant") for axis in (1, 0))
    angle = np.where(across == 0, math.pi / 2, np.arctan(down / np.where(across == 0, 1, across)))
    return np.hypot(across, down), angle


def _sigmoid(value: Values, constants: tuple[float, float, float]) -> Values:
    gamma, slope, centre = constants
    result: Values = gamma / (1 + np.exp(slope * (value - centre)))
    return result
