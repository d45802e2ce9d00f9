"""The frame graph: a core graph between two 8-bit luma planes and one.

The adapter is written once, here, from a FusionSpec, and exported with the network, so every
backend computes the same preprocessing and none is done twice.
"""

from collections.abc import Mapping, Sequence

import msgspec
import torch
from torch import Tensor, nn

from mgdn_edge.export.padding import pad_to
from mgdn_edge.runtime.bundle.fusion_spec import (
    FusionSpec,
    InputSpec,
    Stream,
    channel_streams,
    padded_size,
)

BT601_LUMA = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601, section 2.5.1
LEVELS = 255.0


class PaddedNetwork(nn.Module):
    """The core graph for any size: padded as the spec says, fused, cropped back."""

    def __init__(self, core: nn.Module, spec: FusionSpec) -> None:
        super().__init__()
        self.core = core
        self.spec = spec

    def forward(self, *images: Tensor) -> Tensor:
        """One (N, C_i, H, W) float32 image per stream -> (N, C_out, H, W) float32."""
        return fuse_padded(self.core, images, self.spec)


class FrameNetwork(nn.Module):
    """(N, 1, H, W) uint8 visible luma, the same of infrared -> (N, 1, H, W) uint8 fused luma."""

    def __init__(self, core: nn.Module, spec: FusionSpec) -> None:
        super().__init__()
        self.core = core
        self.spec = spec

    def forward(self, visible: Tensor, infrared: Tensor) -> Tensor:
        planes: dict[Stream, Tensor] = {"visible": visible, "infrared": infrared}
        images = [core_input(planes, stream) for stream in self.spec.inputs]
        return luma_plane(fuse_padded(self.core, images, self.spec), self.spec)


def fuse_padded(core: nn.Module, images: Sequence[Tensor], spec: FusionSpec) -> Tensor:
    """Images of one size through ``core`` at the size ``spec`` pads them to, cropped back."""
    height, width = images[0].shape[2], images[0].shape[3]
    if spec.multiple == 1:
        unpadded: Tensor = core(*images)
        return unpadded
    rows, columns = padded_size(spec, height, width)
    padded = [pad_to(image, rows, columns, spec.pad_mode) for image in images]
    fused: Tensor = core(*padded)[:, :, :height, :width]
    return fused


def core_input(planes: Mapping[Stream, Tensor], stream: InputSpec) -> Tensor:
    """(N, 1, H, W) uint8 by stream -> (N, channels, H, W) float32 in the core graph's range."""
    streams = channel_streams(stream)
    if len(set(streams)) > 1:
        return torch.cat([_scaled(planes[name], stream) for name in streams], dim=1)
    image = _scaled(planes[streams[0]], stream)
    return image.expand(-1, len(streams), -1, -1) if len(streams) > 1 else image


def luma_plane(fused: Tensor, spec: FusionSpec) -> Tensor:
    """(N, 1 or 3, H, W) float32 as the core graph gives it -> (N, 1, H, W) uint8."""
    if spec.output is not msgspec.UNSET:
        fused = fused * spec.output.std + spec.output.mean
    if fused.shape[1] == 3:
        red, green, blue = fused.chunk(3, dim=1)
        fused = BT601_LUMA[0] * red + BT601_LUMA[1] * green + BT601_LUMA[2] * blue
    if spec.output_range == "stretch":
        return _stretched(fused)
    return torch.round(fused.clamp(0.0, 1.0) * LEVELS).to(torch.uint8)


def _scaled(plane: Tensor, stream: InputSpec) -> Tensor:
    image = plane.to(torch.float32) / LEVELS
    if (stream.mean, stream.std) != (0.0, 1.0):
        image = (image - stream.mean) / stream.std
    return image


def _stretched(fused: Tensor) -> Tensor:
    """Each image's least value becomes 0, its greatest 255; an image of one value becomes 0."""
    least = fused.amin(dim=(1, 2, 3), keepdim=True)
    span = fused.amax(dim=(1, 2, 3), keepdim=True) - least
    level = (fused - least) * (LEVELS / torch.where(span > 0, span, 1.0))
    return torch.floor(level.clamp(0.0, LEVELS) + 0.5).to(torch.uint8)
