"""The frame graph: a core graph between two 8-bit luma planes and one.

The adapter is written once, here, from a FusionSpec, and exported with the network, so every
backend computes the same preprocessing and none is done twice.
"""

import torch
from torch import Tensor, nn

from mgdn_edge.export.padding import pad_to
from mgdn_edge.runtime.spec import FusionSpec, InputSpec, padded_size

BT601_LUMA = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601, section 2.5.1
LEVELS = 255.0


class FrameNetwork(nn.Module):
    """(N, 1, H, W) uint8 visible luma, the same of infrared -> (N, 1, H, W) uint8 fused luma."""

    def __init__(self, core: nn.Module, spec: FusionSpec) -> None:
        super().__init__()
        self.core = core
        self.spec = spec

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        height, width = visible.shape[2], visible.shape[3]
        rows, columns = padded_size(self.spec, height, width)
        planes = {"visible": visible, "infrared": infrared}
        inputs = []
        for stream in self.spec.inputs:
            image = core_input(planes[stream.stream], stream)
            if self.spec.multiple > 1:
                image = pad_to(image, rows, columns, self.spec.pad_mode)
            inputs.append(image)
        fused = self.core(*inputs)
        if self.spec.multiple > 1:
            fused = fused[:, :, :height, :width]
        return luma_plane(fused)


def core_input(plane: Tensor, stream: InputSpec) -> Tensor:
    """(N, 1, H, W) uint8 -> (N, channels, H, W) float32 in the core graph's range."""
    image = plane.to(torch.float32) / LEVELS
    if (stream.mean, stream.std) != (0.0, 1.0):
        image = (image - stream.mean) / stream.std
    if stream.channels > 1:
        image = image.expand(-1, stream.channels, -1, -1)
    return image


def luma_plane(fused: Tensor) -> Tensor:
    """(N, 1 or 3, H, W) float32, nominally 0..1 -> (N, 1, H, W) uint8, rounded half to even."""
    if fused.shape[1] == 3:
        red, green, blue = fused.split(1, dim=1)
        fused = BT601_LUMA[0] * red + BT601_LUMA[1] * green + BT601_LUMA[2] * blue
    return torch.round(fused.clamp(0.0, 1.0) * LEVELS).to(torch.uint8)
