"""Shifted-window attention and the transformer block of MGDN, on (N, H, W, C) features."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OTHER_REGION = -100.0  # added to logits across regions; softmax makes it zero (Swin, 2021)


def relative_position_index(window: int) -> Tensor:
    """(w*w, w*w) int64: which row of the bias table query i and key j share."""
    axis = torch.arange(window)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    y, x = y.flatten(), x.flatten()
    rows = y[:, None] - y[None, :] + window - 1
    columns = x[:, None] - x[None, :] + window - 1
    return rows * (2 * window - 1) + columns


def shifted_window_mask(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """(windows, 1, w*w, w*w) float32: 0 within a region, -100 across, for shift w // 2.

    After the cyclic shift a window at the right or bottom edge holds pixels of opposite image
    borders; they are told apart by region. Computed from the padded size inside the graph, so
    one file serves every size and no size-dependent table is stored.
    """

    def regions(size: int) -> Tensor:
        position = torch.arange(size, device=device)
        last_window = (position >= size - window).to(torch.float32)
        wrapped = (position >= size - window // 2).to(torch.float32)
        return last_window + wrapped

    rows, columns = height // window, width // window
    region = 3.0 * regions(height)[:, None] + regions(width)[None, :]
    region = region.reshape(rows, window, columns, window).permute(0, 2, 1, 3)
    region = region.reshape(rows * columns, window * window)
    differs = region[:, None, None, :] != region[:, None, :, None]
    return differs.to(torch.float32) * OTHER_REGION


def roll(x: Tensor, shift: int) -> Tensor:
    """(N, H, W, C) moved up and left by ``shift`` pixels, wrapping; negative moves back.

    Slices with constant bounds: torch.roll exports a remainder by the size, which parsers then
    cannot resolve to a constant even where the size is fixed.
    """
    x = torch.cat([x[:, shift:], x[:, :shift]], dim=1)
    return torch.cat([x[:, :, shift:], x[:, :, :shift]], dim=2)


class WindowAttention(nn.Module):
    """Multi-head attention inside w x w windows of (N, H, W, C), H and W multiples of w."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        index = relative_position_index(window)
        self.register_buffer("relative_position_index", index, persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, height, width, channels = x.shape
        window, tokens = self.window, self.window * self.window
        rows, columns = height // window, width // window
        x = x.reshape(batch, rows, window, columns, window, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(batch * rows * columns, tokens, channels)
        head = channels // self.heads
        qkv = self.qkv(x).reshape(-1, tokens, 3, self.heads, head).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0] * head**-0.5, qkv[1], qkv[2]
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.reshape(tokens, tokens, self.heads).permute(2, 0, 1)
        logits = query @ key.transpose(-2, -1) + bias
        if mask is not None:
            by_image = logits.reshape(batch, -1, self.heads, tokens, tokens)
            logits = (by_image + mask).reshape(-1, self.heads, tokens, tokens)
        x = (logits.softmax(dim=-1) @ value).transpose(1, 2).reshape(-1, tokens, channels)
        x = self.proj(x).reshape(batch, rows, columns, window, window, channels)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)


class Mlp(nn.Module):
    """Two linear layers with the exact (erf) GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class LocalContext(nn.Module):
    """LCE: a narrow convolution branch gated by its own image-wide mean, (N, C, H, W)."""

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
        local = self.conv(x)
        gate = self.fc(local.mean(dim=(2, 3)))[:, :, None, None]
        gated: Tensor = gate * local
        return gated


class ContextAwareTransformer(nn.Module):
    """One block: window attention and MLP with residuals, plus the local branch outside them."""

    def __init__(self, width: int, heads: int, window: int, mlp_ratio: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)
        self.lce = LocalContext(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.shift:
            attended = roll(self.attn(roll(normed, self.shift), mask), -self.shift)
        else:
            attended = self.attn(normed, None)
        hidden = x + attended
        hidden = hidden + self.mlp(self.norm2(hidden))
        local = self.lce(normed.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        result: Tensor = local + hidden
        return result
