"""mgdn-edge, the default network: dynamic filters for both luma planes, predicted small.

MGDN's idea (Guan et al., ACM MM 2023) is that the two images decide together how each of them
is filtered. Here a handful of convolutions at a quarter of the resolution reads both planes at
once and predicts one K x K filter per plane and pixel; the filters are interpolated inside
the operation and applied at full resolution, and the fused luma is the sum of the two
filtered planes. Nothing is normalised and nothing is reduced over the image, so a pixel depends
only on its neighbourhood and padding changes none but those at the border.
"""

import torch
from torch import Tensor, nn

from mgdn_edge.export.dynamic_filter import DynamicFilter

FILTER_SIZE = 3  # K: 2 * 9 full-resolution taps are half of the network's time on a CPU
UPSCALE = 4  # height and width must be multiples of it
WIDTH = 32
# One 3x3 convolution each: together 15 x 15 quarter-size pixels, 60 of the image, which is enough
# to tell a person from a wall at the price of three undilated ones. The undilated one comes last,
# so that neighbouring filters do not come from interleaved, unconnected grids.
DILATIONS = (2, 4, 1)


class MGDNEdge(nn.Module):
    """Core graph of ``mgdn-edge``."""

    def __init__(self, width: int = WIDTH, dilations: tuple[int, ...] = DILATIONS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, width, kernel_size=6, stride=UPSCALE, padding=1)
        self.blocks = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            for dilation in dilations
        )
        self.head = nn.Conv2d(width, 2 * FILTER_SIZE**2, 1)
        self.filter = DynamicFilter(FILTER_SIZE, UPSCALE)
        self.activation = nn.ReLU()
        self._start_at_the_average()

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        """(N, 1, H, W) float32 luma in [0, 1], twice -> (N, 1, H, W), about [0, 1], not clipped.

        H and W are multiples of ``UPSCALE``.
        """
        feature = self.activation(self.stem(torch.cat((visible, infrared), dim=1)))
        for block in self.blocks:
            feature = self.activation(feature + block(feature))
        # Both planes ride in the batch: one filter call has half the operations of two.
        kernels = torch.cat(self.head(feature).chunk(2, dim=1), dim=0)
        planes = torch.cat((visible, infrared), dim=0)
        filtered = self.filter(planes, kernels)
        of_visible, of_infrared = filtered.chunk(2, dim=0)
        fused: Tensor = of_visible + of_infrared
        return fused

    def _start_at_the_average(self) -> None:
        """Before training each filter is half an identity, so the first output is the mean."""
        nn.init.zeros_(self.head.weight)
        bias = torch.zeros(2, FILTER_SIZE**2)
        bias[:, FILTER_SIZE**2 // 2] = 0.5
        with torch.no_grad():
            self.head.bias.copy_(bias.flatten())  # type: ignore[union-attr]
