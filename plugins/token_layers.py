"""NormalizedLinear and ResidualMlp in numpy: the slow specification of the faster ones.

The layers of a transformer block that see one token at a time, fused, because apart they are
passes over the widest tensors of the network. With C values a token and

    LN(t) = (t - mean(t)) / sqrt(var(t) + 1e-5) * scale + shift      (Ba et al. 2016; var over C)
    GELU(t) = t * (1 + erf(t / sqrt(2))) / 2                          (Hendrycks, Gimpel 2016)

they are

    NormalizedLinear:  normed = LN(x),  result = normed . weight1 + bias1
    ResidualMlp:       h = x + a . weight0 + bias0
                       result = h + GELU(LN(h) . weight1 + bias1) . weight2 + bias2

which are the two halves of a block of Swin Transformer (Liu et al., ICCV 2021, equation 3) around
its attention.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mgdn_edge.plugins.window_attention import Floats

LINEAR, MLP = "NormalizedLinear", "ResidualMlp"
EPSILON = 1e-5
MAX_CHANNELS = 64  # C and width of the result that a native kernel keeps beside the processor
MAX_HIDDEN = 256


def normalized_linear(
    x: Floats, scale: Floats, shift: Floats, weight1: Floats, bias1: Floats
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(N, H, W, C), (C,), (C,), (C, M), (M,) -> (N, H, W, M), (N, H, W, C) float32; any range.

    Sums run in float64. Raises ValueError where shapes disagree.
    """
    check_linear([each.shape for each in (x, scale, shift, weight1, bias1)])
    normed = layer_norm(x.astype(np.float64), scale, shift)
    return (normed @ weight1 + bias1).astype(np.float32), normed.astype(np.float32)


def residual_mlp(
    x: Floats,
    scale: Floats,
    shift: Floats,
    weight1: Floats,
    bias1: Floats,
    weight2: Floats,
    bias2: Floats,
    a: Floats,
    weight0: Floats,
    bias0: Floats,
) -> npt.NDArray[np.float32]:
    """x, a (N, H, W, C); weights (C, M), (M, C), (C, C), vectors to fit -> (N, H, W, C) float32.

    Sums run in float64. Raises ValueError where shapes disagree.
    """
    operands = (x, scale, shift, weight1, bias1, weight2, bias2, a, weight0, bias0)
    check_mlp([each.shape for each in operands])
    hidden = x.astype(np.float64) + (a.astype(np.float64) @ weight0 + bias0)
    wide = layer_norm(hidden, scale, shift) @ weight1 + bias1
    return (hidden + gelu(wide) @ weight2 + bias2).astype(np.float32)


def layer_norm(x: Floats, scale: Floats, shift: Floats) -> npt.NDArray[np.float64]:
    """(..., C) float64, (C,), (C,) -> (..., C) float64."""
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    normed: npt.NDArray[np.float64] = centred / deviation * scale + shift
    return normed


def gelu(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Any shape, float64: the exact GELU."""
    from scipy.special import erf

    activated: npt.NDArray[np.float64] = x * (1.0 + erf(x / np.sqrt(2.0))) / 2.0
    return activated


def check_linear(shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise ValueError unless the shapes of NormalizedLinear's operands fit each other."""
    x, scale, shift, weight1, bias1 = shapes
    _check_tokens(x)
    channels, hidden = x[3], bias1[-1] if bias1 else 0
    _check("scale and shift", (scale, shift), ((channels,), (channels,)))
    _check("weight1 and bias1", (weight1, bias1), ((channels, hidden), (hidden,)))


def check_mlp(shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise ValueError unless the shapes of ResidualMlp's operands fit each other."""
    x, scale, shift, weight1, bias1, weight2, bias2, a, weight0, bias0 = shapes
    check_linear((x, scale, shift, weight1, bias1))
    channels, hidden = weight1
    _check("weight2 and bias2", (weight2, bias2), ((hidden, channels), (channels,)))
    _check("weight0 and bias0", (weight0, bias0), ((channels, channels), (channels,)))
    _check("a", (a,), (x,))


def _check_tokens(x: tuple[int, ...]) -> None:
    if len(x) != 4 or min(x) < 1:
        raise ValueError(f"x is {x}; (N, H, W, C) of at least 1 each is needed")


def _check(
    name: str, got: tuple[tuple[int, ...], ...], wanted: tuple[tuple[int, ...], ...]
) -> None:
    if got != wanted or min(min(shape) for shape in wanted) < 1:
        text = " and ".join(map(str, got)), " and ".join(map(str, wanted))
        raise ValueError(f"{name}: {text[0]}; {text[1]} is needed")
