"""The per-pixel dynamic filter in torch: the operation ``mgdn::DynamicFilter`` version 1.

out[n,c,y,x] = sum_j kernel[n,j,y,x] * feature[n,c,y + j//K - K//2, x + j%K - K//2]

with replicate border and kernels as they come (not normalised). ``upscale`` s > 1 takes the
kernel at 1/s of the feature's size and interpolates it bilinearly, half-pixel centres, clamped.
The sum runs tap by tap, so nothing of size K*K*C*H*W ever exists; the published code's unfold
needs 3.5 GB for it at C=30, 640x480.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OPERATION_VERSION = 1  # of the domain ``mgdn``


def filter_taps(feature: Tensor, kernel: Tensor, kernel_size: int, upscale: int = 1) -> Tensor:
    """(N, C, H, W) feature, (N, K*K, H/s, W/s) kernel -> (N, C, H, W): the specification."""
    height, width = feature.shape[2], feature.shape[3]
    if upscale > 1:
        kernel = F.interpolate(kernel, scale_factor=upscale, mode="bilinear", align_corners=False)
    border = kernel_size // 2
    padded = F.pad(feature, (border, border, border, border), mode="replicate")
    total = torch.zeros_like(feature)
    # split, because the gradient of K*K slices is K*K full-size tensors of zeros: training on
    # 160-pixel crops takes 42 ms a step's filter instead of 69.
    for tap, weight in enumerate(torch.split(kernel, 1, dim=1)):
        row, column = divmod(tap, kernel_size)
        total = total + padded[:, :, row : row + height, column : column + width] * weight
    return total


def dynamic_filter(feature: Tensor, kernel: Tensor, kernel_size: int, upscale: int = 1) -> Tensor:
    """(N, C, H, W) feature, (N, K*K, H/s, W/s) kernel -> (N, C, H, W), differentiable.

    ``kernel_size`` K is 3, 5 or 7; ``upscale`` s is 1, 2 or 4. Raises ValueError otherwise.
    """
    if kernel_size not in (3, 5, 7) or upscale not in (1, 2, 4):
        raise ValueError(
            f"kernel_size={kernel_size}, upscale={upscale}; K is 3, 5 or 7 and upscale 1, 2 or 4"
        )
    if torch.compiler.is_exporting():
        # One node, so the graph carries the operation and not its K*K products.
        node: Tensor = torch.onnx.ops.symbolic(
            "mgdn::DynamicFilter",
            (feature, kernel),
            {"kernel_size": kernel_size, "upscale": upscale},
            dtype=feature.dtype,
            shape=feature.shape,
            version=OPERATION_VERSION,
        )
        return node
    return filter_taps(feature, kernel, kernel_size, upscale)


class DynamicFilter(nn.Module):
    """``dynamic_filter`` as a module, so that it has a path in graphs, profiles and parity."""

    def __init__(self, kernel_size: int, upscale: int = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.upscale = upscale

    def forward(self, feature: Tensor, kernel: Tensor) -> Tensor:
        return dynamic_filter(feature, kernel, self.kernel_size, self.upscale)
