"""The published formulation of MGDN's dynamic filter, to be timed beside ours.

Every pixel's K*K neighbours are laid out one after the other, (N, H, W, C, K*K), its kernel is
repeated for every channel in the same layout, both are multiplied and the products summed: three
tensors of K*K times the feature's size (specs of the released code: unfold by rows and columns,
transposed taps on both sides, which cancel).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor

from mgdn_edge.export import dynamic_filter


def published_filter(feature: Tensor, kernel: Tensor, kernel_size: int, upscale: int = 1) -> Tensor:
    """(N, C, H, W) feature, (N, K*K, H, W) kernel -> (N, C, H, W); ``upscale`` is 1."""
    if upscale != 1:
        raise ValueError(f"upscale={upscale}; the published filter has kernels of full size")
    batch, channels, height, width = feature.shape
    border = kernel_size // 2
    padded = F.pad(feature, (border, border, border, border), mode="replicate")
    neighbours = padded.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    neighbours = neighbours.permute(0, 2, 3, 1, 5, 4).contiguous()
    neighbours = neighbours.reshape(batch, height, width, channels, -1)
    taps = kernel.reshape(batch, kernel_size, kernel_size, height, width)
    taps = taps.permute(0, 3, 4, 2, 1).unsqueeze(3)
    taps = taps.expand(-1, -1, -1, channels, -1, -1).reshape(batch, height, width, channels, -1)
    return (neighbours * taps).sum(-1).permute(0, 3, 1, 2).contiguous()


@contextmanager
def published_formulation() -> Iterator[None]:
    """Inside, every DynamicFilter in torch is computed as published."""
    ours = dynamic_filter.filter_taps
    dynamic_filter.filter_taps = published_filter
    try:
        yield
    finally:
        dynamic_filter.filter_taps = ours
