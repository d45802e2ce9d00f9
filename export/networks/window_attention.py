"""Shifted-window attention and the transformer block of MGDN, on (N, H, W, C) features."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdn_edge.export.token_layers import normalized_linear, residual_mlp
from mgdn_edge.export.window_attention import window_attention


def relative_position_index(window: int) -> Tensor:
    """(w*w, w*w) int64: which row of the bias table query i and key j share."""
    axis = torch.arange(window)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    y, x = y.flatten(), x.flatten()
    rows = y[:, None] - y[None, :] + window - 1
    columns = x[:, None] - x[None, :] + window - 1
    return rows * (2 * window - 1) + columns


class WindowAttention(nn.Module):
    """Multi-head attention inside w x w windows of (N, H, W, C), H and W multiples of w.

    The windows begin ``shift`` pixels from the corner and wrap around the image. Its two linear
    layers run in the operations before and after it.
    """

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        index = relative_position_index(window)
        self.register_buffer("relative_position_index", index, persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, qkv: Tensor) -> Tensor:
        """(N, H, W, 3 C), what ``self.qkv`` gives -> (N, H, W, C), what ``self.proj`` takes."""
        tokens = self.window * self.window
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.reshape(tokens, tokens, self.heads).permute(2, 1, 0)  # head, key, query
        return window_attention(qkv, bias, self.heads, self.window, self.shift)


class Mlp(nn.Module):
    """The two linear layers of a block with a GELU between; they run in ``residual_mlp``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)


class LocalContext(nn.Module):
    """LCE: a narrow convolution branch gated by its own image-wide mean, (N, H, W, C).

    The 1x1 convolutions run as linear layers on the last axis, so that only the narrow features
    change their layout for the 3x3 convolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // 8
        self.conv = nn.Sequential(
            nn.Conv2d(width, narrow, 1),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.Conv2d(narrow, width, 1),
            nn.LeakyReLU(0.2),
        )
        self.fc = nn.Sequential(
            nn.Linear(width, narrow, bias=False),
            nn.ReLU(),
            nn.Linear(narrow, width, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        reduce, mix, expand, activation = self.conv
        narrow = mix(per_pixel(reduce, x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        local = activation(per_pixel(expand, narrow))
        # Rows, then columns: ONNX Runtime reduces one leading axis 20 times faster than both.
        gate = self.fc(local.mean(dim=1).mean(dim=1))[:, None, None, :]
        gated: Tensor = gate * local
        return gated


def per_pixel(convolution: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution of (N, H, W, C) features, as a linear layer on the last axis."""
    assert isinstance(convolution, nn.Conv2d)
    return F.linear(x, convolution.weight[:, :, 0, 0], convolution.bias)


class ContextAwareTransformer(nn.Module):
    """One block: window attention and MLP with residuals, plus the local branch outside them."""

    def __init__(self, width: int, heads: int, window: int, mlp_ratio: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window, shift)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.lce = LocalContext(width)

    def forward(self, x: Tensor) -> Tensor:
        qkv, normed = normalized_linear(x, *norm(self.norm1), *linear(self.attn.qkv))
        hidden = residual_mlp(
            x,
            *norm(self.norm2),
            *linear(self.mlp.fc1),
            *linear(self.mlp.fc2),
            self.attn(qkv),
            *linear(self.attn.proj),
        )
        result: Tensor = self.lce(normed) + hidden
        return result


def norm(layer: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    """Scale and shift."""
    return layer.weight, layer.bias


def linear(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight as (inputs, outputs), and bias."""
    return layer.weight.t(), layer.bias
