"""MGDN, the Mutual-Guided Dynamic Network (Guan et al., ACM MM 2023), in its five variants.

Parameter names are those of the published files, so they load without renaming. Buffers the
files carry (window masks, relative-position indices) are computed here, and the published
parameters that no forward pass reads are not built; ``export.checkpoint`` knows both kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdn_edge.export.dynamic_filter import DynamicFilter
from mgdn_edge.export.networks.window_attention import ContextAwareTransformer
from mgdn_edge.export.padding import pad_to

FILTER_SIZE = 7  # K of every published variant
TCA_HEADS = 6  # of the channel attention, in every variant, whatever the window heads are


@dataclass(frozen=True)
class MGDNVariant:
    """Sizes of one published variant; ``inputs`` are the channels of each stream in order.

    ``residual`` is the index of the stream whose first feature is added before the last
    convolution.
    """

    width: int
    depths: tuple[int, ...]
    heads: int
    window: int
    mlp_ratio: int
    inputs: tuple[int, ...]
    outputs: int
    residual: int


VARIANTS = {
    "mff": MGDNVariant(30, (3, 3), 3, 4, 2, (3, 3), 3, 0),
    "mef": MGDNVariant(60, (6, 6), 6, 8, 2, (3, 3), 3, 0),
    "gdsr-x4": MGDNVariant(30, (3, 3, 3), 6, 4, 4, (3, 1), 1, 1),
    "gdsr-x8": MGDNVariant(30, (3, 3, 3), 6, 4, 4, (3, 1), 1, 1),
    "gdsr-x16": MGDNVariant(60, (3, 3, 3), 6, 4, 4, (3, 1), 1, 1),
    "deghost": MGDNVariant(60, (6, 6, 6), 6, 8, 4, (6, 6, 6), 3, 1),
}


class TransposedAttention(nn.Module):
    """TCA: attention across channels of ``operand`` guided by ``guide``, both (N, C, H, W).

    The statistics run over the whole image, so padding changes every output pixel.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(TCA_HEADS, 1, 1))
        self.kv = nn.Conv2d(width, 2 * width, 1)
        self.q = nn.Conv2d(width, width, 1)
        self.kv_dwconv = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.q_dwconv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.project_out = nn.Conv2d(width, width, 1)

    def forward(self, guide: Tensor, operand: Tensor) -> Tensor:
        batch, channels, height, width = operand.shape
        by_head = (batch, TCA_HEADS, channels // TCA_HEADS, height * width)
        query = self.q_dwconv(self.q(guide)).reshape(by_head)
        key, value = self.kv_dwconv(self.kv(operand)).chunk(2, dim=1)
        key = key.reshape(by_head)
        # Both vectors of a product are normalised: dividing the few products by the norms is two
        # passes over the image less than dividing the vectors.
        norms = [vector.norm(dim=-1, keepdim=True).clamp_min(1e-12) for vector in (query, key)]
        cosines = query @ key.transpose(-2, -1) / (norms[0] @ norms[1].transpose(-2, -1))
        weights = (cosines * self.temperature).softmax(dim=-1)
        mixed = (weights @ value.reshape(by_head)).reshape(operand.shape)
        projected: Tensor = self.project_out(mixed)
        return projected


def kernel_predictor(width: int) -> nn.Sequential:
    """(N, C, H, W) -> (N, K*K, H, W) kernels, as they come: not normalised, unbounded."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1)),
        nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1)),
        nn.Conv2d(width, FILTER_SIZE * FILTER_SIZE, 1),
    )


def pointwise(width: int) -> nn.Sequential:
    """1x1 convolution and activation after a dynamic filter."""
    return nn.Sequential(nn.Conv2d(width, width, 1), nn.LeakyReLU(0.1))


def pad_predictors(network: nn.Module, multiple: int = 4) -> None:
    """Widen every kernel predictor, in place, to a multiple of channels that are zero.

    ONNX Runtime's blocked convolutions, twice as fast here, take inputs of a multiple of 4 channels
    only (1.23.2, 1.32), and the published widths are 30 and 60. Results are the same sums.
    """
    for module in network.modules():
        if not isinstance(module, MutualGuidedFilter | DeghostingFilter):
            continue
        width = module.TCA.project_out.out_channels
        padded = -(-width // multiple) * multiple
        widen(module.TCA.project_out, width, padded)
        for name, predictor in module.named_children():
            if name.startswith("kernel_predictor"):
                layers = [part for part in predictor.modules() if isinstance(part, nn.Conv2d)]
                for layer, outputs in zip(
                    layers, (padded, padded, FILTER_SIZE * FILTER_SIZE), strict=True
                ):
                    widen(layer, padded, outputs)


def widen(convolution: nn.Conv2d, inputs: int, outputs: int) -> None:
    """Give a convolution zero weights for further input and output channels."""
    weight, bias = convolution.weight.detach(), convolution.bias
    assert bias is not None
    wide = weight.new_zeros((outputs, inputs, *weight.shape[2:]))
    wide[: weight.shape[0], : weight.shape[1]] = weight
    convolution.weight = nn.Parameter(wide)
    convolution.bias = nn.Parameter(F.pad(bias.detach(), (0, outputs - len(bias))))
    convolution.in_channels, convolution.out_channels = inputs, outputs


class MutualGuidedFilter(nn.Module):
    """MGF of the two-stream variants: each stream filtered by kernels the other guides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.TCA = TransposedAttention(width)
        self.kernel_predictor_ref = kernel_predictor(width)
        self.kernel_predictor_ext = kernel_predictor(width)
        self.filter_1 = DynamicFilter(FILTER_SIZE)
        self.filter_2 = DynamicFilter(FILTER_SIZE)
        self.conv_out_1 = pointwise(width)
        self.conv_out_2 = pointwise(width)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        first, second = features
        kernel_1 = self.kernel_predictor_ref(self.TCA(guide=first, operand=second))
        kernel_2 = self.kernel_predictor_ext(self.TCA(guide=second, operand=first))
        return [
            self.conv_out_1(self.filter_1(first, kernel_1)),
            self.conv_out_2(self.filter_2(second, kernel_2)),
        ]


class DeghostingFilter(nn.Module):
    """MGF of the deghosting variant: (under, reference, over), the reference guides both."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.TCA = TransposedAttention(width)
        self.kernel_predictor_under = kernel_predictor(width)
        self.kernel_predictor_over = kernel_predictor(width)
        self.filter_1 = DynamicFilter(FILTER_SIZE)
        self.filter_2 = DynamicFilter(FILTER_SIZE)
        self.conv_out_1 = pointwise(width)
        self.conv_out_2 = pointwise(width)
        self.conv_ref = nn.Sequential(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1)),
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1)),
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        under, reference, over = features
        kernel_under = self.kernel_predictor_under(self.TCA(guide=reference, operand=under))
        kernel_over = self.kernel_predictor_over(self.TCA(guide=reference, operand=over))
        return [
            self.conv_out_1(self.filter_1(under, kernel_under)),
            self.conv_ref(reference),
            self.conv_out_2(self.filter_2(over, kernel_over)),
        ]


class TransformerGroup(nn.Module):
    """Blocks alternating between plain and shifted windows."""

    def __init__(self, variant: MGDNVariant, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ContextAwareTransformer(
                variant.width,
                variant.heads,
                variant.window,
                variant.mlp_ratio,
                shift=0 if index % 2 == 0 else variant.window // 2,
            )
            for index in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Stage(nn.Module):
    """Filters every stream, mixes them in one transformer group, hands the mix back to each."""

    def __init__(self, variant: MGDNVariant, depth: int) -> None:
        super().__init__()
        width, streams = variant.width, len(variant.inputs)
        self.MGF = MutualGuidedFilter(width) if streams == 2 else DeghostingFilter(width)
        self.residual_group = TransformerGroup(variant, depth)
        self.dilated_conv = nn.Conv2d(width, width, 3, padding=2, dilation=2)
        self.adjust_channel = nn.Conv2d(streams * width, width, 1)
        self.adjust_channel_01 = nn.Conv2d(2 * width, width, 1)
        self.adjust_channel_02 = nn.Conv2d(2 * width, width, 1)
        if streams == 3:
            self.adjust_channel_03 = nn.Conv2d(2 * width, width, 1)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        filtered = self.MGF(features)
        mixed = self.adjust_channel(torch.cat(filtered, dim=1)).permute(0, 2, 3, 1)
        mixed = self.residual_group(mixed).permute(0, 3, 1, 2)
        shared = self.dilated_conv(mixed)
        adjust = [self.adjust_channel_01, self.adjust_channel_02]
        if len(filtered) == 3:
            adjust.append(self.adjust_channel_03)
        return [
            layer(torch.cat([shared, own], dim=1))
            for layer, own in zip(adjust, filtered, strict=True)
        ]


class MGDN(nn.Module):
    """The core graph: one (N, C_i, H, W) float32 image per stream -> (N, C_out, H, W) in 0..1.

    Any height and width from 1; sizes are padded inside to a multiple of the window by
    reflection on the right and bottom and cropped back, as published. Values are RGB / 255 for
    mff and mef; see the specification of the other variants for theirs.
    """

    def __init__(self, variant: MGDNVariant) -> None:
        super().__init__()
        self.variant = variant
        width, streams = variant.width, len(variant.inputs)
        if streams == 3:
            self.conv1 = nn.Conv2d(variant.inputs[0], width, 3, padding=1)
        else:
            self.inconv1 = nn.Conv2d(variant.inputs[0], width, 3, padding=1)
            self.inconv2 = nn.Conv2d(variant.inputs[1], width, 3, padding=1)
        self.layers = nn.ModuleList(Stage(variant, depth) for depth in variant.depths)
        self.conv_after_body = nn.Sequential(
            nn.Conv2d(streams * width, width, 3, padding=1), nn.LeakyReLU(0.2)
        )
        self.conv_last = nn.Sequential(
            nn.Conv2d(width, variant.outputs, 3, padding=1), nn.Sigmoid()
        )

    def forward(self, *images: Tensor) -> Tensor:
        height, width = images[0].shape[2], images[0].shape[3]
        window = self.variant.window
        rows = (height + window - 1) // window * window
        columns = (width + window - 1) // window * window
        padded = [pad_to(image, rows, columns, "reflect") for image in images]
        if len(padded) == 3:
            features = [self.conv1(image) for image in padded]
        else:
            features = [self.inconv1(padded[0]), self.inconv2(padded[1])]
        residual = features[self.variant.residual]
        for stage in self.layers:
            features = stage(features)
        body = self.conv_after_body(torch.cat(features, dim=1)) + residual
        fused: Tensor = self.conv_last(body)[:, :, :height, :width]
        return fused
