"""CADNIF, the Cross Attention-guided Dense Network for Image Fusion, as its checkpoints define it.

The released code cannot run; this is the graph that the checkpoints were made with and carry.
Parameter names are the published ones below ``fusion_model/``, with dots for slashes; kernels are
(out, in, height, width). What the checkpoints hold and no output depends on is not built:
``export.cadnif_checkpoint`` knows it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdn_edge.export.batch_statistics import BatchStatistics

SLOPE = 0.2  # of every leaky ReLU
WIDTH = 16  # channels of a feature
WIDE = 64  # channels after the dense part
# The floor of TensorFlow's fused kernel, which replaces the 1e-5 that the code asks for.
EPSILON = 1.001e-5
NON_LOCAL_EPSILON = 1e-3  # of tf.layers, which the two auxiliary branches use
START = 1e-3  # spread of the published start


def activate(feature: Tensor) -> Tensor:
    """Leaky ReLU, max(x, 0.2 x)."""
    return F.leaky_relu(feature, SLOPE)


def new_kernel(inputs: int, outputs: int, size: int) -> nn.Parameter:
    """An untrained (outputs, inputs, size, size) kernel."""
    return nn.Parameter(START * torch.randn(outputs, inputs, size, size).clamp(-2, 2))


class Convolution(nn.Module):
    """A convolution that keeps the size, under the published names of its kernel and bias."""

    def __init__(
        self, names: tuple[str, str], inputs: int, outputs: int, size: int, dilation: int = 1
    ) -> None:
        super().__init__()
        self.names = names
        self.register_parameter(names[0], new_kernel(inputs, outputs, size))
        self.register_parameter(names[1], nn.Parameter(torch.zeros(outputs)))
        self.padding, self.dilation = dilation * (size // 2), dilation

    def forward(self, feature: Tensor) -> Tensor:
        weight, bias = (self.get_parameter(name) for name in self.names)
        return F.conv2d(feature, weight, bias, padding=self.padding, dilation=self.dilation)


class NormalizedConvolution(Convolution):
    """A convolution and the batch's statistics, without activation."""

    def __init__(self, names: tuple[str, str], inputs: int, outputs: int, size: int) -> None:
        super().__init__(names, inputs, outputs, size)
        self.BatchNorm = BatchStatistics(outputs, EPSILON)

    def forward(self, feature: Tensor) -> Tensor:
        normalized: Tensor = self.BatchNorm(super().forward(feature))
        return normalized


class AuxiliaryConvolution(Convolution):
    """The 1x1 convolution of an auxiliary branch and the batch's statistics."""

    def __init__(self) -> None:
        super().__init__(("w_a_4", "b_a_4"), WIDTH, WIDTH, 1)
        self.batch_normalization = BatchStatistics(WIDTH, NON_LOCAL_EPSILON)

    def forward(self, feature: Tensor) -> Tensor:
        normalized: Tensor = self.batch_normalization(super().forward(feature))
        return normalized


class NonLocal(nn.Module):
    """What is left of the non-local block: one image's feature plus the other's, convolved.

    The published graph computes a softmax over all pairs of pixels beside it and drops it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.non_conv = nn.ModuleDict({"w": AuxiliaryConvolution()})

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        mixed: Tensor = own + self.non_conv["w"](other)
        return mixed


class CrossAttention(nn.Module):
    """Both images' features weighted by gates that the current feature decides.

    The numbers are the published ones: kernel 3 goes with bias 2, and kernel 2 with bias 3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.w_a_1 = new_kernel(2 * WIDTH, WIDTH, 3)
        self.w_a_2 = new_kernel(2 * WIDTH, WIDTH, 3)
        self.w_a_3 = new_kernel(WIDTH, WIDTH, 3)
        self.w_a_4 = new_kernel(WIDTH, WIDTH, 3)
        self.w_a_5 = new_kernel(3 * WIDTH, WIDTH, 3)
        for number in range(1, 6):
            self.register_parameter(f"b_a_{number}", nn.Parameter(torch.zeros(WIDTH)))
        self.BatchNorm = BatchStatistics(WIDTH, EPSILON)

    def forward(self, infrared: Tensor, visible: Tensor, current: Tensor) -> Tensor:
        """(N, 16, H, W) three times -> (N, 16, H, W), normalised, without activation."""
        gate_infrared = activate(self._convolve(1, 1, infrared, current))
        gate_infrared = activate(self._convolve(3, 2, gate_infrared)).sigmoid()
        gate_visible = activate(self._convolve(2, 3, visible, current))
        gate_visible = activate(self._convolve(4, 4, gate_visible)).sigmoid()
        mixed = self._convolve(5, 5, infrared * gate_infrared, visible * gate_visible, current)
        normalized: Tensor = self.BatchNorm(mixed)
        return normalized

    def _convolve(self, kernel: int, bias: int, *features: Tensor) -> Tensor:
        joined = features[0] if len(features) == 1 else torch.cat(features, dim=1)
        weight = self.get_parameter(f"w_a_{kernel}")
        return F.conv2d(joined, weight, self.get_parameter(f"b_a_{bias}"), padding=1)


class AttentionLayer(nn.Module):
    """The scope that holds one cross attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = CrossAttention()

    def forward(self, infrared: Tensor, visible: Tensor, current: Tensor) -> Tensor:
        attended: Tensor = self.attention(infrared, visible, current)
        return attended


class DilatedDense(nn.Module):
    """Three dilated convolutions, each reading all before it, and one that joins them."""

    def __init__(self) -> None:
        super().__init__()
        self.dilation_conv1 = Convolution(("w1", "b1"), WIDE, WIDTH, 3, dilation=2)
        self.dilation_conv2 = Convolution(("w2", "b2"), WIDE + WIDTH, WIDTH, 3, dilation=2)
        self.dilation_conv3 = Convolution(("w3", "b3"), WIDE + 2 * WIDTH, WIDTH, 3, dilation=2)
        self.dilation_conv4 = Convolution(("w4", "b4"), WIDE + 3 * WIDTH, WIDE, 1)

    def forward(self, feature: Tensor) -> Tensor:
        """(N, 64, H, W) -> (N, 64, H, W)."""
        for layer in (self.dilation_conv1, self.dilation_conv2, self.dilation_conv3):
            feature = torch.cat((feature, activate(layer(feature))), dim=1)
        return activate(self.dilation_conv4(feature))


class CADNIF(nn.Module):
    """The core graph: two (N, 3, H, W) float32 images in [-1, 1] -> (N, 1, H, W) in (-1, 1).

    Any height and width from 1. The published graph takes (ir, ir, vi) and (vi, vi, ir), the
    published test script (ir, ir, ir) and (vi, vi, vi). Every image of a batch changes the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_iv = NormalizedConvolution(("w_iv", "b_iv"), 6, WIDTH, 1)
        self.conv_i = NormalizedConvolution(("w_i", "b_i"), 3, WIDTH, 1)
        self.conv_v = NormalizedConvolution(("w_v", "b_iv"), 3, WIDTH, 1)
        self.non_local1 = NonLocal()
        self.non_local2 = NonLocal()
        self.attention_layer1 = AttentionLayer()
        self.attention_layer2 = AttentionLayer()
        self.attention_layer3 = AttentionLayer()
        self.attention_layer4 = AttentionLayer()
        self.attention_layer5 = AttentionLayer()
        self.A_conv = Convolution(("A_conv_w", "A_conv_b"), 2 * WIDTH, WIDTH, 3)
        self.A_conv2 = Convolution(("A_conv2_w", "A_conv2_b"), 3 * WIDTH, WIDTH, 3)
        self.A_conv3 = Convolution(("A_conv3_w", "A_conv3_b"), 4 * WIDTH, WIDTH, 3)
        self.A_conv4 = Convolution(("A_conv4_w", "A_conv4_b"), 5 * WIDTH, WIDTH, 3)
        self.conv_1 = Convolution(("w_conv_1", "b_conv_1"), 8 * WIDTH, WIDE, 1)
        self.merging = DilatedDense()
        self.m_conv_1 = Convolution(("w_m_1", "b_m_1"), 2 * WIDE, WIDE, 1)
        self.conv_2 = NormalizedConvolution(("w_conv_2", "b_conv_2"), WIDE + WIDTH, WIDE, 3)
        self.conv_3 = Convolution(("w_conv_3", "b_conv_2"), WIDE, 1, 3)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        both = activate(self.conv_iv(torch.cat((infrared, visible), dim=1)))
        own = activate(self.conv_i(infrared)), activate(self.conv_v(visible))
        # The orders of these concatenations are the published ones.
        attended = self.attention_layer1(*own, both)
        first = activate(self.A_conv(torch.cat((attended, both), dim=1)))
        attended = self.attention_layer2(*own, first)
        second = activate(self.A_conv2(torch.cat((attended, first, both), dim=1)))
        attended = self.attention_layer3(*own, second)
        third = activate(self.A_conv3(torch.cat((second, attended, first, both), dim=1)))
        attended = self.attention_layer4(*own, third)
        fourth = activate(self.A_conv4(torch.cat((third, second, attended, first, both), dim=1)))
        attended = self.attention_layer5(*own, fourth)
        dense = (fourth, third, second, attended, first, both)
        branches = self.non_local1(own[0], own[1]), self.non_local2(own[1], own[0])
        joined = activate(self.conv_1(torch.cat((*dense, *branches), dim=1)))
        merged = torch.cat((joined, self.merging(joined)), dim=1)
        merged = activate(self.m_conv_1(merged))
        last = activate(self.conv_2(torch.cat((merged, both), dim=1)))
        fused: Tensor = self.conv_3(last).tanh()
        return fused
