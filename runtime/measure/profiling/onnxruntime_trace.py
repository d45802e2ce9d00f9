"""read_trace: the JSON that ONNX Runtime's profiler writes -> Timeline.

The file holds Chrome trace events. Of each run it has one "Node" event a kernel, named
``NODE_kernel_time``, then "SequentialExecutor::Execute" and "model_run" around them, in
microseconds (seen with ONNX Runtime 1.23.2 and 1.32.0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.profiling.profiler_cost import NO_COST, ProfilerCost
from mgdn_edge.runtime.measure.profiling.timeline import VIEW_OPERATORS, Kernel, Timeline

KERNEL_SUFFIX = "_kernel_time"
RUN, EXECUTE = "model_run", "SequentialExecutor::Execute"
# What optimisers make of a node's name. Blocked convolutions append _nchwc, copies of a name
# _token_N, fusions /NameFusion, and fused activations put "fused " before it.
REWRITTEN = re.compile(r"^fused |_nchwc$|_token_\d+$|/\w+Fusion/?$")
ELEMENT_BYTES = {"float": 4, "float16": 2, "bfloat16": 2, "double": 8, "bool": 1}
US = 1000  # ns


class _TraceEvent(msgspec.Struct):
    """The fields of a trace event that are used; ``dur`` and ``ts`` are microseconds."""

    name: str
    cat: str = ""
    dur: int = 0
    args: dict[str, object] = {}


class _Run(msgspec.Struct):
    kernels: list[_TraceEvent] = []
    execute_us: int = 0
    total_us: int = 0


def read_trace(text: bytes, keep: Sequence[int], cost: ProfilerCost = NO_COST) -> Timeline:
    """The trace of some runs of one frame size -> the mean of those ``keep`` names, less ``cost``.

    Raises UserError where the file is not such a trace, lacks a run, or the runs differ in their
    kernels.
    """
    runs = _split_runs(text)
    if not keep or max(keep) >= len(runs):
        raise UserError(
            f"ONNX Runtime's profile holds {len(runs)} runs, fewer than were profiled; it keeps at "
            "most a million events, so profile fewer: --frames 10"
        )
    chosen = [runs[i] for i in keep]
    names = [event.name for event in chosen[0].kernels]
    if any([event.name for event in run.kernels] != names for run in chosen):
        raise UserError(
            "ONNX Runtime ran other kernels in some frames than in others, so their times cannot "
            "be averaged; profile frames of one size"
        )
    means = [US * float(np.mean([run.kernels[i].dur for run in chosen])) for i in range(len(names))]
    kernels = tuple(
        _kernel(event, max(0.0, ns - cost.inside_ns))
        for event, ns in zip(chosen[0].kernels, means, strict=True)
    )
    execute = US * float(np.mean([run.execute_us for run in chosen]))
    total = US * float(np.mean([run.total_us for run in chosen]))
    between = max(0.0, execute - sum(means) - len(means) * cost.outside_ns)
    spent = sum(kernel.ns for kernel in kernels) + between
    return Timeline(
        kernels=kernels,
        between_ns=between,
        session_ns=total - execute,
        profiler_ns=execute - spent,
        frames=len(chosen),
    )


def original_name(name: str) -> str:
    """A kernel's name -> the name of the node it was before ONNX Runtime's optimisers."""
    while True:
        shorter = REWRITTEN.sub("", name)
        if shorter == name:
            return name
        name = shorter


def _split_runs(text: bytes) -> list[_Run]:
    try:
        events = msgspec.json.decode(text, type=list[_TraceEvent])
    except msgspec.DecodeError as error:
        raise UserError(f"ONNX Runtime's profile is not what was expected: {error}") from error
    runs, run = [], _Run()
    for event in events:
        if event.cat == "Node" and event.name.endswith(KERNEL_SUFFIX):
            run.kernels.append(event)
        elif event.name == EXECUTE:
            run.execute_us = event.dur
        elif event.name == RUN:  # written when the run ends
            run.total_us = event.dur
            runs.append(run)
            run = _Run()
    return runs


def _kernel(event: _TraceEvent, ns: float) -> Kernel:
    name = event.name.removesuffix(KERNEL_SUFFIX)
    operator = str(event.args.get("op_name", ""))
    moved = 0 if operator in VIEW_OPERATORS else _bytes(event)
    return Kernel(name, operator, ns, nodes=(original_name(name),), bytes=moved)


def _bytes(event: _TraceEvent) -> int | None:
    """Bytes of all inputs, weights included, and outputs; None where the trace has no shapes."""
    total = 0
    for side in ("input_type_shape", "output_type_shape"):
        tensors = event.args.get(side)
        if not isinstance(tensors, list):
            return None
        for tensor in tensors:  # {"float": [1, 32, 120, 160]}
            for kind, shape in tensor.items():
                total += prod(shape) * _element_bytes(kind)
    return total


def _element_bytes(kind: str) -> int:
    """Of "float" 4, of "int8" and "uint8" 1, of "int64" 8; unknown kinds count nothing."""
    bits = re.fullmatch(r"u?int(\d+)", kind)
    return int(bits[1]) // 8 if bits else ELEMENT_BYTES.get(kind, 0)
