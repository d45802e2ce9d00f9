"""Quantisation-aware fine-tuning: the network computes as its 8-bit file for the CPU will.

Activations are rounded to uint8 within the extremes that calibration saw, weights to 7 bits a
result channel; gradients pass straight through the rounding and stop where a value is clipped
(B. Jacob et al., CVPR 2018). What is trained and saved are the float weights under their own
names, which `mgdn quantize` then calibrates anew.

Calibration's tensors are named after the module that makes them and the operator, counted over
calls (``graph_names``). ``TENSORS`` is the join with torch: which result of which call of which
module is which tensor. Tests hold it and ``LAYERS`` against what `mgdn quantize` rounds.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mgdn_edge.export.checkpoint import file_digest
from mgdn_edge.export.network_catalogue import EDGE_WEIGHTS, load_edge
from mgdn_edge.runtime.bundle.ranges import Ranges, decode_ranges, ranges_digest
from mgdn_edge.runtime.errors import UserError

WEIGHT_LIMIT = 64  # of the CPU's files: two products of it and a byte fit 16 bits without VNNI
BYTE = 255
SMALLEST_SCALE = 2.0**-100  # a tensor of zeros; its reciprocal must stay finite


class RoundedTensor(NamedTuple):
    """The result of a module's ``call``-th call is ``tensor`` of the ranges.

    ``added`` is what it is added to before a Relu that alone reads the sum: below minus its
    maximum everything gives zero, and the grid need not reach there.
    """

    module: str
    call: int
    tensor: str
    added: str | None = None


# Network -> the convolutions that run in 8 bits.
LAYERS = {"mgdn-edge": ("blocks.0", "blocks.1", "blocks.2")}
TENSORS = {
    "mgdn-edge": (
        RoundedTensor("activation", 0, "core.activation/Relu"),
        RoundedTensor("blocks.0", 0, "core.blocks.0/Conv", "core.activation/Relu"),
        RoundedTensor("activation", 1, "core.activation/Relu_1"),
        RoundedTensor("blocks.1", 0, "core.blocks.1/Conv", "core.activation/Relu_1"),
        RoundedTensor("activation", 2, "core.activation/Relu_2"),
        RoundedTensor("blocks.2", 0, "core.blocks.2/Conv", "core.activation/Relu_2"),
        RoundedTensor("activation", 3, "core.activation/Relu_3"),
    )
}


@dataclass(frozen=True)
class FineTuning:
    """``ranges.json`` of a bundle that `mgdn quantize` wrote, and the weights to begin with."""

    ranges: Path
    start: Path = EDGE_WEIGHTS


class ByteGrid(NamedTuple):
    """real = (integer - zero_point) * scale, integers 0..255."""

    scale: float
    zero_point: int


class RoundedConv(nn.Conv2d):
    """A convolution whose weights are rounded as it computes; its parameters stay float."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) float32 -> the convolution with rounded weights."""
        result: Tensor = self._conv_forward(input, round_weight(self.weight), self.bias)
        return result


def begin_fine_tuning(network: nn.Module, name: str, tuning: FineTuning) -> dict[str, str]:
    """Load the first weights and round from now on -> digests of the ranges and the weights.

    Raises UserError for a network or files that cannot be fine-tuned.
    """
    if name not in LAYERS:
        raise UserError(
            f"--qat cannot fine-tune {name}, only {', '.join(LAYERS)}; leave out --qat and "
            "calibrate it: mgdn quantize"
        )
    ranges = read_ranges(tuning.ranges, name)
    network.load_state_dict(load_edge(tuning.start).core.state_dict())
    round_layers(network, name, ranges)
    return {"qat": ranges_digest(ranges), "start": file_digest(tuning.start)}


def read_ranges(path: Path, network: str) -> Ranges:
    """File -> the ranges of ``network``; UserError for anything else."""
    try:
        ranges = decode_ranges(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}); mgdn quantize writes it into its bundle: "
            "unzip OUT.mgdn ranges.json"
        ) from error
    lacking = [each.tensor for each in TENSORS[network] if each.tensor not in ranges.tensors]
    if ranges.network != network or lacking:
        what = f"no tensor {lacking[0]}" if ranges.network == network else f"{ranges.network}'s"
        raise UserError(f"{path} holds {what}; {network}'s are needed: mgdn quantize {network}")
    return ranges


def round_layers(network: nn.Module, name: str, ranges: Ranges) -> None:
    """Make ``network`` compute with rounded weights and activations; parameter names stay."""
    for path in LAYERS[name]:
        network.set_submodule(path, _rounded(network.get_submodule(path)))
    calls: Counter[str] = Counter()
    network.register_forward_pre_hook(lambda module, inputs: calls.clear())
    grids: dict[str, dict[int, ByteGrid]] = {}
    for each in TENSORS[name]:
        grids.setdefault(each.module, {})[each.call] = byte_grid(each, ranges)
    for path, of_calls in grids.items():
        network.get_submodule(path).register_forward_hook(_round_results(path, of_calls, calls))


def byte_grid(place: RoundedTensor, ranges: Ranges) -> ByteGrid:
    """What is rounded -> the grid over its extremes, zero inside."""
    found = ranges.tensors[place.tensor]
    low, high = min(0.0, found.low), max(0.0, found.high)
    if place.added is not None:
        low = max(low, -max(0.0, ranges.tensors[place.added].high))
    scale = max((high - low) / BYTE, SMALLEST_SCALE)
    return ByteGrid(scale, min(max(round(-low / scale), 0), BYTE))


def round_weight(weight: Tensor) -> Tensor:
    """(O, I, H, W) float32 -> the nearest 8-bit weights, one scale a result channel."""
    largest = weight.detach().abs().amax(dim=(1, 2, 3))
    scale = torch.where(largest > 0, largest / WEIGHT_LIMIT, torch.ones_like(largest))
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weight, scale, zeros, 0, -WEIGHT_LIMIT, WEIGHT_LIMIT
    )


def _rounded(module: nn.Module) -> RoundedConv:
    assert isinstance(module, nn.Conv2d) and module.bias is not None
    rounded = RoundedConv(
        module.in_channels,
        module.out_channels,
        module.kernel_size,  # type: ignore[arg-type]
        module.stride,  # type: ignore[arg-type]
        module.padding,  # type: ignore[arg-type]
        module.dilation,  # type: ignore[arg-type]
        module.groups,
        device="meta",  # the parameters are the module's own
    )
    rounded.weight, rounded.bias = module.weight, module.bias
    return rounded


def _round_results(
    path: str, grids: dict[int, ByteGrid], calls: Counter[str]
) -> Callable[[nn.Module, object, Tensor], Tensor]:
    def hook(module: nn.Module, inputs: object, result: Tensor) -> Tensor:
        grid = grids[calls[path]]
        calls[path] += 1
        return torch.fake_quantize_per_tensor_affine(result, *grid, 0, BYTE)

    return hook
