r"""read_layers: TensorRT's per-layer times and its engine inspector's JSON -> Timeline.

``IProfiler.report_layer_time(name, ms)`` gives one row a layer and execution. Engine layers are
fused and renamed; which ONNX nodes they hold is in the inspector's JSON
(``LayerInformationFormat.JSON``) of an engine built with ``ProfilingVerbosity.DETAILED``:

    {"Layers": [{"Name": "...", "LayerType": "CaskConvolution",
                 "Inputs": [{"Name": "...", "Dimensions": [1, 32, 120, 160],
                             "Format/Datatype": "Row major linear FP32"}],
                 "Outputs": [...],
                 "Metadata": "[ONNX Layer: stem/Conv]\u001f[ONNX Layer: activation/Relu]"}]}

At other verbosities the list holds names only; then the nodes are read from the names, which
join them by " + " and give a region as "{ForeignNode[FIRST...LAST]}".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np

from mgdn_edge.runtime.errors import UserError
from mgdn_edge.runtime.measure.profiling.timeline import Kernel, Timeline

NODE = re.compile(r"\[ONNX Layer: ([^\]\x1e\x1f]+)\]")
REGION = re.compile(r"ForeignNode\[([^\]]+?)\.\.\.([^\]]+?)\]")
WRAPPER = re.compile(r"^\w+\((.*)\)$")  # PWN(...) around pointwise fusions
REFORMAT = re.compile(r"^Reformat|reformat", re.IGNORECASE)
# "Row major linear FP32", "Channel major FP16 format where channel % 8 == 0", "Float", "Half"
ELEMENT_BYTES = {
    **{"fp32": 4, "float": 4, "int32": 4, "fp16": 2, "half": 2, "bf16": 2, "int64": 8},
    **{"int8": 1, "uint8": 1, "fp8": 1, "bool": 1},
}


def read_layers(
    rows: Sequence[Sequence[tuple[str, int]]], inspector: str, total_ns: float | None = None
) -> Timeline:
    """Rows (layer name, ns) of each execution, warm-up left out, and the inspector's JSON.

    ``total_ns`` is the mean time of one whole execution in the same runs, None where only layers
    were timed; what is in it beyond the layers counts as between them. Raises UserError where
    executions differ in their layers or the JSON is not an inspector's.
    """
    if not rows or not rows[0]:
        raise UserError("TensorRT's profiler reported no layers; attach it before executing")
    names = [name for name, _ in rows[0]]
    if any([name for name, _ in row] != names for row in rows):
        raise UserError("TensorRT reported other layers in some executions than in others")
    layers = {layer["Name"]: layer for layer in _layers(inspector)}
    kernels = tuple(
        _kernel(name, layers.get(name, {}), float(np.mean([row[i][1] for row in rows])))
        for i, name in enumerate(names)
    )
    spent = sum(kernel.ns for kernel in kernels)
    between = 0.0 if total_ns is None else max(0.0, total_ns - spent)
    return Timeline(kernels, between_ns=between, session_ns=0.0, frames=len(rows))


def _layers(inspector: str) -> list[dict[str, Any]]:
    try:
        found = msgspec.json.decode(inspector, type=dict[str, Any]).get("Layers", [])
    except msgspec.DecodeError as error:
        raise UserError(f"the engine inspector's answer is not JSON: {error}") from error
    return [{"Name": layer} if isinstance(layer, str) else layer for layer in found]


def _kernel(name: str, layer: dict[str, Any], ns: float) -> Kernel:
    kind = str(layer.get("LayerType", ""))
    if REFORMAT.search(kind) or (not kind and REFORMAT.search(name)):
        return Kernel(name, "Reformat", ns, bytes=_bytes(layer))
    nodes = tuple(dict.fromkeys(NODE.findall(str(layer.get("Metadata", "")))))
    ranges: tuple[tuple[str, str], ...] = ()
    if not nodes:
        ranges = tuple((first, last) for first, last in REGION.findall(name))
        nodes = () if ranges else tuple(_names_in(name))
    return Kernel(name, kind or "layer", ns, nodes, ranges, _bytes(layer))


def _names_in(name: str) -> Iterable[str]:
    """Of "core.stem/Conv + PWN(core.activation/Relu)" the two node names."""
    for part in name.split(" + "):
        inner = part.strip()
        while wrapped := WRAPPER.match(inner):
            inner = wrapped[1]
        yield from (word.strip() for word in inner.split(",") if word.strip())


def _bytes(layer: dict[str, Any]) -> int | None:
    """Bytes of inputs and outputs; None unless the inspector gave shapes and formats of all."""
    total = 0
    tensors = [*layer.get("Inputs", []), *layer.get("Outputs", [])]
    for tensor in tensors:
        words = re.findall(r"\w+", str(tensor.get("Format/Datatype", "")).lower())
        size = next((ELEMENT_BYTES[word] for word in words if word in ELEMENT_BYTES), None)
        if size is None or not isinstance(tensor.get("Dimensions"), list):
            return None
        total += size * prod(tensor["Dimensions"])
    return total if tensors else None
