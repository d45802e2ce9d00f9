"""Padding on the right and bottom by mirrored or repeated pixels, any size from 1x1."""

import torch
from torch import Tensor

from mgdn_edge.runtime.bundle.fusion_spec import PadMode


def border_index(size: int, padded: int, mode: PadMode) -> Tensor:
    """(padded,) int64: the source position of every position, as numpy.pad continues an axis.

    Index arithmetic instead of a Pad node: ONNX runtimes reject or misread a reflection wider
    than the image, and the remainder form repeats the mirror as often as a tiny image needs.
    """
    position = torch.arange(padded)
    if mode == "edge":
        return position.clamp(max=size - 1)
    # Periods are tensors: the exporter cannot take a remainder by a symbolic size, and it
    # assumes sizes of at least 2, so a Python maximum would be dropped and a 1-pixel axis
    # would divide by zero.
    if mode == "reflect":
        period = torch.scalar_tensor(2 * size - 2, dtype=torch.int64).clamp(min=1)
        position = position % period
        return torch.minimum(position, period - position)
    period = torch.scalar_tensor(2 * size, dtype=torch.int64)
    position = position % period
    return torch.minimum(position, period - 1 - position)


def pad_to(image: Tensor, rows: int, columns: int, mode: PadMode) -> Tensor:
    """(N, C, H, W) -> (N, C, rows, columns), rows >= H and columns >= W."""
    height, width = image.shape[2], image.shape[3]
    image = image.index_select(2, border_index(height, rows, mode).to(image.device))
    return image.index_select(3, border_index(width, columns, mode).to(image.device))
