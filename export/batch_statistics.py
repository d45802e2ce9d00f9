"""Normalisation by the statistics of what is being fused, never by stored averages.

out[n,c,y,x] = gamma[c] * (x - mean[c]) / sqrt(variance[c] + epsilon) + beta[c]

mean and variance (biased) are of channel c over the whole batch and image, in float32 and in two
passes: the variances of a first layer lie at 1e-7, where the square of the mean is of the same
size and E[x^2] - E[x]^2 loses every digit. Padding and tiling change every pixel.
"""

import torch
from torch import Tensor, nn

OPERATOR = "InstanceNormalization"  # of one image: statistics per channel are those of the batch
OPERATOR_VERSION = 6  # of the standard domain


def normalize_batch(feature: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Tensor:
    """(N, C, H, W) float32, (C,) twice -> (N, C, H, W); 1x1 images of a batch of one give beta."""
    if torch.compiler.is_exporting():
        # One node that reads each channel while it is in the cache, instead of four that pass over
        # the whole feature. Graphs take one image, so it is the same. ONNX Runtime's adds a channel
        # up in sequence and computes x * a + b (1.32.0): 1.4e-4 off in the output of CADNIF where
        # an image has little contrast. Of centred values both are exact to float32.
        if feature.shape[0] != 1:
            raise ValueError(f"{feature.shape[0]} images; a graph takes one")
        node: Tensor = torch.onnx.ops.symbolic(
            OPERATOR,
            (feature - feature.mean(dim=(2, 3), keepdim=True), gamma, beta),
            {"epsilon": epsilon},
            dtype=feature.dtype,
            shape=feature.shape,
            version=OPERATOR_VERSION,
        )
        return node
    centred = feature - feature.mean(dim=(0, 2, 3), keepdim=True)
    variance = centred.square().mean(dim=(0, 2, 3), keepdim=True)
    scaled = centred * (gamma[:, None, None] * torch.rsqrt(variance + epsilon))
    return scaled + beta[:, None, None]


class BatchStatistics(nn.Module):
    """``normalize_batch`` with TensorFlow's names for its parameters."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, feature: Tensor) -> Tensor:
        return normalize_batch(feature, self.gamma, self.beta, self.epsilon)
