"""Pass: float16 with float32 islands, as explicit casts.

1. A node computes in float16 unless a rule below keeps it in float32.
2. A tensor that left +-MAX_HALF at calibration keeps what makes or reads it in float32: float16
   ends at 65504.
3. Norms, means, softmax, variances and products of two computed tensors stay float32: their sums
   may run over every pixel of a plane (307,200 at 640x480), and float16 counts to 2048 exactly.
4. What makes the input of a normalisation over the image stays float32 too: in a first layer its
   values differ by less than float16's steps of their mean (CADNIF: variances of 1e-7).
5. A constant that float16 rounds to zero or to infinity keeps its reader in float32; 1e-12 is what
   stands between a norm and a division by zero.
6. What has no float16 in ONNX 18 or in our operations stays float32: Resize, attention and token
   layers, and in a quantised graph the pairs with what is between them.
7. Where the two meet, one Cast a tensor and direction. Graph inputs and outputs are uint8 anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from mgdn_edge.calibration.node_precisions import (
    DELICATE,
    FILTER,
    NORMALIZATION,
    OUR_DOMAIN,
    WEIGHTED,
    has_weights,
)
from mgdn_edge.runtime.bundle.ranges import TensorRange
from mgdn_edge.runtime.quality.precision_verdict import NodeDecision

MAX_HALF = 6.0e4
SMALLEST_HALF = 2.0**-24
LONG_SUMS = (*DELICATE, "ReduceSum", "ReduceSumSquare", "ReduceL1")
WITHOUT_HALF = ("Resize", "Range", "CumSum")
HALF, FULL = ir.DataType.FLOAT16, ir.DataType.FLOAT


def decide_half(model: ir.Model, ranges: Mapping[str, TensorRange]) -> tuple[NodeDecision, ...]:
    """Frame graph -> a decision for each node that makes or reads float tensors, in order."""
    decisions = []
    for node in model.graph:
        every = (*node.inputs, *node.outputs)
        values = [value for value in every if value is not None and _is_float(value)]
        if not values:
            continue
        reason = _island(node, values, ranges)
        name = node.name or ""
        operator = node.op_type if node.domain == "" else f"{node.domain}::{node.op_type}"
        decisions.append(
            NodeDecision(
                name,
                name.rpartition("/")[0],
                operator,
                "fp32" if reason else "fp16",
                reason or "within float16's range",
            )
        )
    return tuple(decisions)


def convert_to_half(model: ir.Model, nodes: Collection[str]) -> ir.Model:
    """Frame graph, quantised or not, and names of its float16 nodes -> a new graph with casts."""
    converted = model.clone()
    graph = converted.graph
    in_half = {node for node in graph if node.name in nodes}
    cast: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
    for node in list(graph):
        wanted = HALF if node in in_half else FULL
        for place, value in enumerate(node.inputs):
            if value is None or not _is_float(value):
                continue
            producer = value.producer()
            given = HALF if producer in in_half and producer is not None else FULL
            if given is wanted:
                continue
            if (value, wanted) not in cast:
                cast[value, wanted] = _convert(graph, value, wanted)
            node.replace_input_with(place, cast[value, wanted])
    for node in in_half:
        if node.op_type == "Cast" and node.attributes["to"].as_int() == FULL:
            node.attributes["to"] = ir.AttrInt64("to", int(HALF))
        for value in node.outputs:
            if _is_float(value):
                value.type = ir.TensorType(HALF)  # types may be shared between values
    _drop_unread(graph)
    return converted


def _island(node: ir.Node, values: list[ir.Value], ranges: Mapping[str, TensorRange]) -> str | None:
    """Why the node stays float32, None where it need not."""
    for value in values:
        found = ranges.get(value.name or "")
        if found is not None and max(-found.low, found.high) > MAX_HALF:
            return f"{value.name} reaches {max(-found.low, found.high):.3g}"
        if value.const_value is not None:
            constant = np.abs(value.const_value.numpy())
            if constant.size and (constant.max() > MAX_HALF or _vanishes(constant)):
                return f"{value.name} is too large or too small for float16"
    if node.op_type in LONG_SUMS:
        return "its sums run over many values"
    if _is_normalised(node):
        return "a normalisation over the image reads it, whose variance may be tiny"
    if node.op_type in WITHOUT_HALF:
        return "has no float16 form"
    if node.op_type in WEIGHTED and not has_weights(node):
        return "a product of two computed tensors, whose sums may run over every pixel"
    if node.domain == OUR_DOMAIN and node.op_type != FILTER:
        return f"{node.op_type} has no float16 form"
    return None


def _is_normalised(node: ir.Node) -> bool:
    """True where a normalisation over the image reads the result, itself or less its mean."""
    readers = [use.node for value in node.outputs for use in value.uses()]
    return any(
        reader.op_type == NORMALIZATION or (reader.op_type == "Sub" and _is_normalised(reader))
        for reader in readers
    )


def _vanishes(constant: np.ndarray) -> bool:
    """True for a scalar that float16 rounds to zero; small weights among others may."""
    return constant.size == 1 and 0 < float(constant.max()) < SMALLEST_HALF


def _is_float(value: ir.Value) -> bool:
    return value.dtype in (FULL, HALF)


def _convert(graph: ir.Graph, value: ir.Value, wanted: ir.DataType) -> ir.Value:
    """``value`` in the other type: a constant is stored again, a tensor goes through a Cast."""
    suffix = "half" if wanted is HALF else "full"
    name = f"{value.name}/{suffix}"
    if value.const_value is not None and value.producer() is None:
        tensor = ir.tensor(value.const_value.numpy().astype(np.float16), name=name)
        stored = ir.Value(
            name=name, shape=value.shape, type=ir.TensorType(wanted), const_value=tensor
        )
        graph.register_initializer(stored)
        return stored
    node = ir.node("Cast", [value], {"to": int(wanted)}, name=name)
    node.outputs[0].name = name
    node.outputs[0].type = ir.TensorType(wanted)
    node.outputs[0].shape = value.shape
    producer = value.producer()
    if producer is None:
        raise ValueError(f"{name} is a graph input; frame graphs have none of float type")
    graph.insert_after(producer, node)
    return node.outputs[0]


def _drop_unread(graph: ir.Graph) -> None:
    for name, value in list(graph.initializers.items()):
        if not list(value.uses()) and not value.is_graph_output():
            del graph.initializers[name]
