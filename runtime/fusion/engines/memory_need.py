"""What a build needs and what is free, in numbers, before the build is killed.

A bound, not a forecast: the sum of what may be alive at once. The figures marked so were not
measured on a board.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import msgspec

from mgdn_edge.runtime.bundle.graph_facts import GraphFacts
from mgdn_edge.runtime.errors import DeviceError
from mgdn_edge.runtime.fusion.engines.engine_key import FilterMode
from mgdn_edge.runtime.picture.frame import Size

MIB = 1 << 20
# CUDA context, TensorRT's libraries and its kernels: not measured on a board.
BUILDER_BYTES = 1024 * MIB
# The file, the parser's copy, the network's, the engine's on the device and as a file.
WEIGHT_COPIES = 5
FILTER = "mgdn::DynamicFilter"
FLOAT_BYTES = 4


class MemoryNeed(msgspec.Struct, frozen=True):
    """Bytes a build may use at once, by what they are for."""

    builder: int
    weights: int
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        """All of them, where the GPU uses the board's memory."""
        return self.builder + self.weights + self.activations + self.workspace

    @property
    def device(self) -> int:
        """Those on a GPU with memory of its own."""
        return self.weights + self.activations + self.workspace

    def __str__(self) -> str:
        """In MiB, such as "2100 MiB (builder 1024, weights 1, activations 51, workspace 1024)"."""
        parts = {name: getattr(self, name) for name in self.__struct_fields__}
        listed = ", ".join(f"{name} {-(-size // MIB)}" for name, size in parts.items())
        return f"{-(-self.total // MIB)} MiB ({listed})"


def estimate_need(
    facts: GraphFacts, size: Size, model_bytes: int, workspace_bytes: int, filter_mode: FilterMode
) -> MemoryNeed:
    """Graph facts, (height, width) to build for, bytes of the ONNX file -> MemoryNeed.

    Activations grow with the area; a function body adds its tensors to them.
    """
    activations = facts.peak_activation_bytes
    if filter_mode == "body":
        activations += max(map(_body_bytes, _filters(facts)), default=0)
    scale = size[0] * size[1] / (facts.height * facts.width)
    return MemoryNeed(
        builder=BUILDER_BYTES,
        weights=WEIGHT_COPIES * model_bytes,
        activations=round(activations * scale),
        workspace=workspace_bytes,
    )


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes available without swapping, as the kernel states; None where it does not."""
    try:
        text = (root / "proc/meminfo").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024  # the file's kB are KiB
    return None


def describe_memory(need: MemoryNeed, host: int | None, gpu: int | None) -> str:
    """A clause: what may be needed and what is free on board and GPU, for any sentence."""
    free = [
        f"{memory // MIB} MiB free{where}"
        for memory, where in ((host, ""), (gpu, " on the GPU"))
        if memory is not None
    ]
    return f"it may need {need}, with {' and '.join(free) or 'an unknown amount free'}"


def check_memory(need: MemoryNeed, host: int | None, gpu: int | None) -> None:
    """DeviceError with the numbers unless what may be needed is free.

    ``host`` is free memory in bytes, ``gpu`` that of a GPU with memory of its own, None where it
    uses the host's or is not known.
    """
    if gpu is None:
        short = host is not None and need.total > host
    else:
        short = need.device > gpu or (host is not None and need.builder + need.weights > host)
    if short:
        raise DeviceError(
            f"building this engine could use up the memory: {describe_memory(need, host, gpu)}; "
            "close other programs",
            ways=("lower --workspace", "or pass --ignore-memory to try anyway"),
        )


def _filters(facts: GraphFacts) -> list[tuple[tuple[int, ...], int]]:
    """(output shape, taps) of every DynamicFilter."""
    return [
        (node.outputs[0].shape, node.inputs[1].shape[1])
        for node in facts.nodes
        if node.operator == FILTER
    ]


def _body_bytes(filtering: tuple[tuple[int, ...], int]) -> int:
    """Per tap one tensor of the filter's size, as if only shift and product were fused.

    TensorRT-RTX 1.7.1 reports 26 MB of scratch memory for mgdn-edge at 640x480 and 1059 MB for
    the published size, where activations and this are 32 and 2212 MB.
    """
    shape, taps = filtering
    return taps * prod(shape) * FLOAT_BYTES
