"""Attention in windows: ``mgdn::WindowAttention`` and ``ShiftedWindowAttention`` version 1.

plugins/window_attention.py has the formula. Rolling, cutting, heads, bias, mask and softmax are one
operation, because apart they move 0.7 GB per block at C=30, 640x480 and are most of its time.
"""

import torch
from torch import Tensor

from mgdn_edge.plugins.window_attention import OTHER_REGION, PLAIN, SHIFTED

OPERATION_VERSION = 1  # of the domain ``mgdn``


def window_attention(qkv: Tensor, bias: Tensor, heads: int, window: int, shift: int) -> Tensor:
    """(N, H, W, 3 * heads * d), (heads, T, T) float -> (N, H, W, heads * d), differentiable.

    ``bias`` has the key's index before the query's. H and W are multiples of ``window``; ``shift``
    is 0 or half of it. Raises ValueError otherwise.
    """
    if shift not in (0, window // 2):
        raise ValueError(f"shift={shift}; 0 or half of window={window} is needed")
    if torch.compiler.is_exporting():
        batch, height, width, triple = qkv.shape
        node: Tensor = torch.onnx.ops.symbolic(
            f"mgdn::{SHIFTED if shift else PLAIN}",
            (qkv, bias),
            {"heads": heads, "window": window},
            dtype=qkv.dtype,
            shape=(batch, height, width, triple // 3),
            version=OPERATION_VERSION,
        )
        return node
    return attend_windows(qkv, bias, heads, window, shift)


def attend_windows(qkv: Tensor, bias: Tensor, heads: int, window: int, shift: int) -> Tensor:
    """``window_attention`` in torch's own operators: the specification of the ONNX body."""
    batch, height, width, triple = qkv.shape
    rows, columns, tokens = height // window, width // window, window * window
    moved = torch.roll(qkv, (-shift, -shift), dims=(1, 2)) if shift else qkv
    parts = moved.reshape(batch, rows, window, columns, window, 3, heads, triple // 3 // heads)
    parts = parts.permute(5, 0, 1, 3, 6, 2, 4, 7)
    parts = parts.reshape(3, batch * rows * columns, heads, tokens, triple // 3 // heads)
    query, key, value = parts[0] * parts.shape[-1] ** -0.5, parts[1], parts[2]
    logits = query @ key.transpose(-2, -1) + bias.transpose(1, 2)
    if shift:
        mask = shifted_window_mask(height, width, window, qkv.device)
        by_image = logits.reshape(batch, -1, heads, tokens, tokens)
        logits = (by_image + mask).reshape(-1, heads, tokens, tokens)
    out = (logits.softmax(dim=-1) @ value).reshape(batch, rows, columns, heads, window, window, -1)
    out = out.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, width, triple // 3)
    return torch.roll(out, (shift, shift), dims=(1, 2)) if shift else out


def shifted_window_mask(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """(windows, 1, T, T) float32: 0 within a region, -100 across, for shift w // 2.

    After the cyclic shift a window at the right or bottom edge holds pixels of opposite image
    borders; they are told apart by region.
    """

    def wrapped(size: int) -> Tensor:
        return (torch.arange(size, device=device) >= size - window // 2).to(torch.float32)

    rows, columns = height // window, width // window
    region = 2.0 * wrapped(height)[:, None] + wrapped(width)[None, :]
    region = region.reshape(rows, window, columns, window).permute(0, 2, 1, 3)
    region = region.reshape(rows * columns, window * window)
    differs = region[:, None, None, :] != region[:, None, :, None]
    return differs.to(torch.float32) * OTHER_REGION
