"""What an unsupervised fusion result is held to: the stronger intensity, the stronger edge,
and the structure of both inputs.

Maximum-intensity and maximum-gradient terms as in SeAFusion (Tang, Yuan and Ma, Information
Fusion 82, 2022, eq. 3-5) and PIAFusion (Tang et al., Information Fusion 83-84, 2022); the SSIM
term as in U2Fusion (Xu et al., TPAMI 44(1), 2022) with equal weights. All are means per pixel.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WINDOW = 11  # Wang et al., IEEE TIP 13(4), 2004: window, sigma and constants
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2  # for values in [0, 1]
SSIM_C2 = 0.03**2


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term. A higher SSIM weight costs edge strength (SF, AG, Qabf)."""

    intensity: float = 1.0
    gradient: float = 2.0
    structure: float = 0.25


@dataclass(frozen=True)
class FusionLoss:
    """The weighted ``total`` and its unweighted terms, scalars."""

    total: Tensor
    intensity: Tensor
    gradient: Tensor
    structure: Tensor


def fusion_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, weights: LossWeights
) -> FusionLoss:
    """(N, 1, H, W) in [0, 1], three times -> FusionLoss."""
    intensity = (fused - torch.maximum(visible, infrared)).abs().mean()
    strongest = torch.maximum(sobel_magnitude(visible), sobel_magnitude(infrared))
    gradient = (sobel_magnitude(fused) - strongest).abs().mean()
    structure = 1 - (ssim(fused, visible) + ssim(fused, infrared)) / 2
    total = (
        weights.intensity * intensity + weights.gradient * gradient + weights.structure * structure
    )
    return FusionLoss(total, intensity, gradient, structure)


def sobel_magnitude(image: Tensor) -> Tensor:
    """(N, 1, H, W) -> (N, 1, H, W) |d/dx| + |d/dy| by Sobel, replicate border.

    The 1-norm, as in SeAFusion's code: differentiable at zero for L1 training where the
    Euclidean norm's derivative is not finite.
    """
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    down = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    horizontal = down[..., 2:] - down[..., :-2]
    vertical = across[..., 2:, :] - across[..., :-2, :]
    return horizontal.abs() + vertical.abs()


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """(N, 1, H, W) in [0, 1], twice -> mean SSIM over the valid region, a scalar.

    Height and width are at least ``SSIM_WINDOW``.
    """
    position = torch.arange(SSIM_WINDOW, dtype=first.dtype, device=first.device) - SSIM_WINDOW // 2
    window = torch.exp(-position.square() / (2 * SSIM_SIGMA**2))
    window = window / window.sum()

    stacked = torch.cat((first, second, first * first, second * second, first * second), dim=1)
    count = stacked.shape[1]
    # Separable: 22 multiplications a pixel in place of 121.
    rows = F.conv2d(stacked, window.view(1, 1, -1, 1).repeat(count, 1, 1, 1), groups=count)
    means = F.conv2d(rows, window.view(1, 1, 1, -1).repeat(count, 1, 1, 1), groups=count)
    mean_1, mean_2, square_1, square_2, product = means.unbind(dim=1)

    variance_1 = square_1 - mean_1.square()
    variance_2 = square_2 - mean_2.square()
    covariance = product - mean_1 * mean_2
    likeness = ((2 * mean_1 * mean_2 + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_1.square() + mean_2.square() + SSIM_C1) * (variance_1 + variance_2 + SSIM_C2)
    )
    return likeness.mean()
