"""A block's layers of one token: ``mgdn::NormalizedLinear`` and ``ResidualMlp`` version 1.

plugins/token_layers.py has the formulas. Layer norm, linear layers, GELU and residuals are one
operation on each side of attention, because apart they are passes over tensors of C to 3 C values
a pixel: at C=30, 640x480 the norms alone were a sixth of the network's time.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mgdn_edge.plugins.token_layers import EPSILON, LINEAR, MAX_CHANNELS, MAX_HIDDEN, MLP

OPERATION_VERSION = 1  # of the domain ``mgdn``


def normalized_linear(
    x: Tensor, scale: Tensor, shift: Tensor, weight1: Tensor, bias1: Tensor
) -> tuple[Tensor, Tensor]:
    """(N, H, W, C), (C,), (C,), (C, M), (M,) float -> (N, H, W, M), (N, H, W, C), differentiable.

    The second result is the layer norm alone.
    """
    if torch.compiler.is_exporting() and is_native(weight1):
        nodes = torch.onnx.ops.symbolic_multi_out(
            f"mgdn::{LINEAR}",
            (x, scale, shift, weight1, bias1),
            dtypes=(x.dtype, x.dtype),
            shapes=((*x.shape[:3], weight1.shape[1]), x.shape),
            version=OPERATION_VERSION,
        )
        return nodes[0], nodes[1]
    normed = F.layer_norm(x, scale.shape, scale, shift, EPSILON)
    return normed @ weight1 + bias1, normed


def residual_mlp(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    weight1: Tensor,
    bias1: Tensor,
    weight2: Tensor,
    bias2: Tensor,
    a: Tensor,
    weight0: Tensor,
    bias0: Tensor,
) -> Tensor:
    """x, a (N, H, W, C); weights (C, M), (M, C), (C, C), vectors to fit -> (N, H, W, C).

    GELU is written in the order of factors ONNX Runtime recognises: F.gelu is exported as
    x * (0.5 * (1 + erf)), which stays five passes over the widest tensor (1.23.2, 1.32).
    """
    if torch.compiler.is_exporting() and is_native(weight1):
        node: Tensor = torch.onnx.ops.symbolic(
            f"mgdn::{MLP}",
            (x, scale, shift, weight1, bias1, weight2, bias2, a, weight0, bias0),
            dtype=x.dtype,
            shape=x.shape,
            version=OPERATION_VERSION,
        )
        return node
    hidden = x + (a @ weight0 + bias0)
    wide = F.layer_norm(hidden, scale.shape, scale, shift, EPSILON) @ weight1 + bias1
    wide = wide * 0.5 * (torch.erf(wide / math.sqrt(2.0)) + 1.0)
    return hidden + (wide @ weight2 + bias2)


def is_native(weight: Tensor) -> bool:
    """True where the native operation takes a (C, M) weight's sizes; wider layers stay apart."""
    return weight.shape[0] <= MAX_CHANNELS and weight.shape[1] <= MAX_HIDDEN
