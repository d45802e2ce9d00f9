"""WindowAttention in numpy: the slow specification every faster implementation is held to.

An image is moved up and left by ``shift`` pixels, wrapping, and cut into w x w windows of
T = w * w tokens, row-major. In each window and head, with d values a head:

    out[i] = sum_j softmax_j(q[i] . k[j] / sqrt(d) + bias[j, i] + mask[i, j]) v[j]

``mask`` is -100 where wrapping has brought tokens i and j together from opposite borders, else 0.
The result is moved back. (Swin Transformer, Liu et al., ICCV 2021, section 3.2; the -100 is that
of its code and of MGDN's.)
"""

import numpy as np
import numpy.typing as npt

PLAIN, SHIFTED = "WindowAttention", "ShiftedWindowAttention"  # shift 0 and half a window
OTHER_REGION = -100.0

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def window_attention(
    qkv: Floats, bias: Floats, heads: int, window: int, shift: int = 0
) -> npt.NDArray[np.float32]:
    """(N, H, W, 3 * heads * d), (heads, T, T) float -> (N, H, W, heads * d) float32; any range.

    The last axis of ``qkv`` is queries, keys, values, each head by head; ``bias`` has the key's
    index before the query's. Sums run in float64. Raises ValueError where shapes disagree.
    """
    check_attention(qkv.shape, bias.shape, heads, window, shift)
    batch, height, width, triple = qkv.shape
    rows, columns, size = height // window, width // window, triple // 3 // heads
    moved = np.roll(qkv.astype(np.float64), (-shift, -shift), axis=(1, 2))
    tokens = moved.reshape(batch, rows, window, columns, window, 3, heads, size)
    tokens = tokens.transpose(5, 0, 1, 3, 6, 2, 4, 7)
    query, key, value = tokens.reshape(3, batch, rows, columns, heads, window * window, size)
    logits = query @ key.swapaxes(-1, -2) / np.sqrt(size) + bias.astype(np.float64).swapaxes(1, 2)
    logits += region_mask(height, width, window, shift)[:, :, None]
    logits -= logits.max(-1, keepdims=True)
    weights = np.exp(logits)
    weights /= weights.sum(-1, keepdims=True)
    out = (weights @ value).reshape(batch, rows, columns, heads, window, window, size)
    out = out.transpose(0, 1, 4, 2, 5, 3, 6).reshape(batch, height, width, triple // 3)
    moved_back: npt.NDArray[np.float64] = np.roll(out, (shift, shift), axis=(1, 2))
    return moved_back.astype(np.float32)


def region_mask(height: int, width: int, window: int, shift: int) -> npt.NDArray[np.float64]:
    """(rows, columns, T, T) float64: 0 between tokens of one region, -100 across."""
    moved_y, moved_x = np.arange(height) >= height - shift, np.arange(width) >= width - shift
    region = 2 * moved_y[:, None] + moved_x[None, :]
    region = region.reshape(height // window, window, width // window, window)
    region = region.transpose(0, 2, 1, 3).reshape(height // window, width // window, -1)
    return np.where(region[..., :, None] == region[..., None, :], 0.0, OTHER_REGION)


def check_attention(
    qkv: tuple[int, ...], bias: tuple[int, ...], heads: int, window: int, shift: int
) -> None:
    """Raise ValueError unless shapes and attributes fit the operation's contract."""
    if window < 1 or not 0 <= shift < window or heads < 1:
        raise ValueError(
            f"heads={heads}, window={window}, shift={shift}; positive numbers and a shift below "
            "the window are needed"
        )
    if len(qkv) != 4 or min(qkv) < 1 or qkv[3] % (3 * heads) or qkv[1] % window or qkv[2] % window:
        raise ValueError(
            f"qkv is {qkv} for heads={heads} and window={window}; (N, H, W, 3 * heads * d) with H "
            "and W multiples of the window is needed"
        )
    if bias != (heads, window**2, window**2):
        raise ValueError(f"bias is {bias}; {(heads, window**2, window**2)} is needed")
