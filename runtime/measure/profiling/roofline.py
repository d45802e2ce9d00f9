"""measure_part: one part's bytes and arithmetic a second, against what the machine gives at most.

The roofline: bytes need at least bytes / bandwidth, operations at least flops / peak; a kernel
can be no faster than the longer of the two, and that one bounds it. Bandwidth is the memory's, so
tensors that stay in caches can be faster than the roof.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mgdn_edge.runtime.bundle.graph_facts import NodeFacts, TensorFacts
from mgdn_edge.runtime.machine.ceilings import Ceilings
from mgdn_edge.runtime.measure.profiling.join_timeline import Part
from mgdn_edge.runtime.measure.profiling.profile_result import Bound, PartFigures

# Below this share of the roof neither limit explains the time: waiting, short vectors, threads.
EXPLAINED = 0.25


def measure_part(part: Part, frame_ns: float, ceilings: Ceilings, pixels: float) -> PartFigures:
    """A joined part of a frame of ``frame_ns`` -> its figures.

    ``pixels`` is the profiled frame's pixels over those of ``graph.json``: arithmetic grows with
    them. Bytes are what the backend stated of its kernels, else what the nodes read and write.
    """
    stated = [kernel.bytes for kernel in part.kernels if kernel.bytes is not None]
    moved: int | None = None
    if len(stated) == len(part.kernels):
        moved = sum(stated)
    elif part.nodes:
        moved = round(boundary_bytes(part.nodes) * pixels)
    flops = round(sum(node.flops for node in part.nodes) * pixels)
    memory_ns = (moved or 0) / ceilings.gbps
    arithmetic_ns = flops / ceilings.gflops if ceilings.gflops else 0.0
    roof_ns = max(memory_ns, arithmetic_ns)
    of_roof = roof_ns / part.ns if part.ns else 0.0
    bound: Bound | None = None
    if roof_ns:
        bound = "arithmetic" if arithmetic_ns > memory_ns else "memory"
        bound = bound if of_roof >= EXPLAINED else "neither"
    return PartFigures(
        name=part.name,
        module=part.module,
        operator=part.operator,
        how=part.how,
        is_layout=part.is_layout,
        ms=round(part.ns / 1e6, 5),
        share=round(part.ns / frame_ns, 5),
        kernels=len(part.kernels),
        nodes=tuple(node.name for node in part.nodes),
        flops=flops,
        bytes=moved,
        roof_ms=round(roof_ns / 1e6, 5),
        of_roof=round(of_roof, 4),
        bound=bound,
    )


def boundary_bytes(nodes: Sequence[NodeFacts]) -> int:
    """Bytes into and out of nodes that run as one kernel: what passes between them stays inside."""
    made = {tensor.name for node in nodes for tensor in node.outputs}
    read = {tensor.name for node in nodes for tensor in node.inputs}
    sizes: dict[str, int] = {}
    for node in nodes:
        for tensor in (*node.inputs, *node.outputs):
            if (tensor.name in read) != (tensor.name in made):
                sizes[tensor.name] = tensor_bytes(tensor)
    return sum(sizes.values())


def tensor_bytes(tensor: TensorFacts) -> int:
    """Bytes of a dense tensor."""
    return prod(tensor.shape) * int(np.dtype(tensor.dtype).itemsize)
